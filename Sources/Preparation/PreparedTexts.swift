// Tokens cut into windows that a model takes, some of them held out.

import Approximation
public import Bytes
public import Models

/// What a conversion is calibrated on, and the other texts that it is judged by.
public struct PreparedTexts: Equatable, Sendable {
  public private(set) var calibration: [[Int]] = []
  public private(set) var evaluation: [[Int]] = []
  /// Tokens of all texts, those that are not used included.
  public let tokenCount: Int

  /// Longest window: what bounds time and memory of the attention scores.
  static let longestWindow = 512
  /// One window of so many is held out.
  static let heldOutPart = 5
  /// Windows of less are no text.
  private static let shortestWindow = 4

  /// Cuts `bodies` into windows inside of `frame`, of at most the model's positions.
  ///
  /// - Parameters:
  ///   - calibrationLimit: Tokens to calibrate on at most, taken evenly from all texts;
  ///     `evaluationLimit` those to judge by.
  /// - Throws: `InputError` for tokens outside the vocabulary, and for less than two windows.
  public init(
    _ bodies: [[Int]], frame: TextTokenizer.Frame, model: Model, source: String,
    calibrationLimit: Int, evaluationLimit: Int
  ) throws(InputError) {
    for token in frame.before + frame.after + bodies.joined()
    where !(0..<model.vocabularySize).contains(token) {
      throw InputError(
        source,
        "has token \(token), the model's vocabulary is \(model.vocabularySize): the tokenizer is "
          + "another model's", hint: "give the model's own with --tokenizer FOLDER")
    }
    let bodyCount = bodies.reduce(0) { $0 + $1.count }
    tokenCount = bodyCount
    let frameCount = frame.before.count + frame.after.count
    let longest = min(model.maximumPositions, PreparedTexts.longestWindow) - frameCount
    func cut(_ length: Int) -> [[Int]] {
      bodies.flatMap { body in
        stride(from: 0, to: body.count, by: length).map {
          frame.before + body[$0..<min($0 + length, body.count)] + frame.after
        }
      }.filter { $0.count > 1 }
    }
    var windows = longest > 0 ? cut(longest) : []
    if windows.count < PreparedTexts.heldOutPart, longest > PreparedTexts.shortestWindow {
      let length = max(bodyCount / PreparedTexts.heldOutPart, PreparedTexts.shortestWindow)
      windows = cut(min(length, longest))
    }
    guard windows.count > 1 else {
      throw InputError(
        source,
        "holds \(Quantity.grouped(bodyCount)) tokens: too little to calibrate on and to "
          + "judge by",
        hint:
          "take \(Quantity.grouped(Calibration.fewTokenCount)) tokens or more of what users will send"
      )
    }
    var (calibration, evaluation): ([[Int]], [[Int]]) = ([], [])
    for (index, window) in windows.enumerated() {
      if index % PreparedTexts.heldOutPart == PreparedTexts.heldOutPart - 1
        || (index == windows.count - 1 && evaluation.isEmpty)
      {
        evaluation.append(window)
      } else {
        calibration.append(window)
      }
    }
    self.calibration = PreparedTexts.thinned(calibration, to: calibrationLimit)
    self.evaluation = PreparedTexts.thinned(evaluation, to: evaluationLimit)
  }

  /// Evenly chosen ones of `windows`, of about `limit` tokens together; all where they are no more.
  private static func thinned(_ windows: [[Int]], to limit: Int) -> [[Int]] {
    let count = windows.reduce(0) { $0 + $1.count }
    guard count > limit else { return windows }
    let kept = max(windows.count * limit / count, 1)
    return (0..<kept).map { windows[$0 * windows.count / kept] }
  }

  /// How much text there was, and what is done with it.
  public var summary: String {
    func text(_ windows: [[Int]]) -> String {
      "\(Quantity.grouped(windows.reduce(0) { $0 + $1.count })) tokens in \(windows.count) "
        + (windows.count == 1 ? "window" : "windows")
    }
    return "found \(Quantity.grouped(tokenCount)) tokens of text; calibrates on "
      + "\(text(calibration)), judges by \(text(evaluation)) held out"
  }
}
