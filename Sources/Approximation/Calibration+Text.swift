// What to say of the text that a calibration saw.

import Bytes
public import Models

extension Calibration {
  /// With fewer tokens ranges are chance: quantiles of a thousandth are seen a few times at best.
  public static let fewTokenCount = 1000
  /// A thousand tokens of any language have more different ones.
  private static let fewDistinctCount = 64
  /// Texts shorter than this part of the longest possible say little of late positions.
  private static let shortPart = 8

  /// Fewer different tokens than these say next to nothing of others.
  private static let scantDistinctCount = 16

  /// Whether the text had so few different tokens that ranges of single heads mean nothing.
  public func isScant(for model: Model) -> Bool {
    !seenTokens.isEmpty
      && seenTokens.count < min(Calibration.scantDistinctCount, model.vocabularySize / 2)
  }

  /// The headroom of variances where others have `headroom`: four times as much where the text had
  /// few different tokens, whose variances say little of others', and a little below its range a
  /// table of roots is off by some hundredths.
  public func varianceHeadroom(_ headroom: Double, for model: Model) -> Double {
    isScant(for: model) ? 4 * headroom : headroom
  }

  /// How much text there was, and what it cannot say; nothing where nobody counted.
  public func textNotices(for model: Model) -> [String] {
    guard tokenCount > 0 else { return [] }
    var notices: [String] = []
    let text =
      "calibrated on \(Quantity.grouped(tokenCount)) tokens of \(textCount) "
      + "\(textCount == 1 ? "text" : "texts")"
    if tokenCount < Calibration.fewTokenCount {
      notices.append(
        "\(text): that is little, and inputs beyond the ranges it gave are answered wrongly; take "
          + "\(Quantity.grouped(Calibration.fewTokenCount)) tokens or more of what users will send, "
          + "and check with `lodge-check validate` on other text")
    }
    // Few tokens are few different ones.
    let distinct = min(Calibration.fewDistinctCount, model.vocabularySize / 2)
    if notices.isEmpty, !seenTokens.isEmpty, seenTokens.count < distinct {
      notices.append(
        "\(text), which are \(seenTokens.count) different ones: that is little of a vocabulary of "
          + "\(Quantity.grouped(model.vocabularySize)); take text as users send it")
    }
    if longestText > 0, longestText * Calibration.shortPart < model.maximumPositions {
      notices.append(
        "\(text): the longest has \(Quantity.grouped(longestText)) of "
          + "\(Quantity.grouped(model.maximumPositions)) positions; of longer texts nothing was seen"
      )
    }
    return notices
  }
}
