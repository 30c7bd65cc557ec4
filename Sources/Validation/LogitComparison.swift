// Compares the logits of a secure run with the plaintext model's, token by token.

public import Bytes

/// How far the logits of a secure greedy generation are from those of the plaintext model.
public struct LogitComparison: Report, Equatable, Sendable {
  /// The first token in which the two differ.
  public struct Divergence: Equatable, Sendable {
    /// Row of both arrays, from 0.
    public var row: Int
    public var secureToken: Int
    public var plaintextToken: Int
    /// Difference of the plaintext model's two largest logits there.
    public var margin: Float
  }

  /// Rows of either array.
  public private(set) var rowCount = 0
  /// Rows that continue the same text in both: all up to the divergence, that one included.
  public private(set) var comparedRowCount = 0
  /// max |secure - plaintext| over the compared rows.
  public private(set) var largestDifference: Float = 0
  /// mean |secure - plaintext| over the compared rows.
  public private(set) var meanDifference: Float = 0
  public private(set) var divergence: Divergence?

  private let source: String

  /// Reads and compares two float32 arrays [newTokens, vocabulary].
  ///
  /// - Throws: `InputError` for a file that is no such array, other shapes, and values that are not
  ///   finite.
  public init(securePath: String, plaintextPath: String) throws(InputError) {
    source = securePath
    let secure = try LogitComparison.read(securePath)
    let plaintext = try LogitComparison.read(plaintextPath)
    guard secure.shape == plaintext.shape else {
      throw InputError(
        securePath, place: "shape",
        "\(secure.shape) differs from \(plaintext.shape) in \(plaintextPath)")
    }
    rowCount = secure.shape[0]
    let width = secure.shape[1]
    var sum = 0.0
    for row in 0..<rowCount where divergence == nil {
      let range = row * width..<(row + 1) * width
      for index in range {
        let difference = abs(secure.values[index] - plaintext.values[index])
        largestDifference = max(largestDifference, difference)
        sum += Double(difference)
      }
      comparedRowCount += 1
      let chosen = LogitComparison.largest(secure.values[range])
      let expected = LogitComparison.largest(plaintext.values[range])
      if chosen.token != expected.token {
        divergence = Divergence(
          row: row, secureToken: chosen.token, plaintextToken: expected.token,
          margin: expected.margin)
      }
    }
    meanDifference = Float(sum / Double(comparedRowCount * width))
  }

  private static func read(_ path: String) throws(InputError) -> NPYArray {
    let array = try NPY.readFloats(path)
    guard array.shape.count == 2, array.shape[0] > 0, array.shape[1] > 1 else {
      throw InputError(
        path, place: "shape", "found \(array.shape), expected rows of two or more logits")
    }
    if let index = array.values.firstIndex(where: { !$0.isFinite }) {
      throw InputError(path, place: "row \(index / array.shape[1])", "holds a value not finite")
    }
    return array
  }

  /// Index of the largest value, the first of equal ones, and its distance to the next.
  private static func largest(_ row: ArraySlice<Float>) -> (token: Int, margin: Float) {
    var best = row.startIndex
    var second = -Float.infinity
    for index in row.indices.dropFirst() {
      if row[index] > row[best] {
        second = row[best]
        best = index
      } else {
        second = max(second, row[index])
      }
    }
    return (best - row.startIndex, row[best] - second)
  }

  /// Throws where the tokens differ although the plaintext model's margin is `margin` or more.
  public func check(margin: Double) throws(InputError) {
    guard let divergence, Double(divergence.margin) >= margin else { return }
    throw InputError(
      source, place: "row \(divergence.row)",
      "token \(divergence.secureToken) was chosen, the plaintext model chooses "
        + "\(divergence.plaintextToken) by a margin of \(LogitComparison.text(divergence.margin))")
  }

  private static func text(_ value: Float) -> String {
    Quantity.decimal(Double(value), fractionDigits: 4)
  }

  public var document: TextDocument {
    var table = TextTable([.left, .prose])
    let equal = divergence == nil ? comparedRowCount : comparedRowCount - 1
    table.addRow(["equal tokens", "\(equal) of \(rowCount)"])
    if let divergence {
      table.addRow([
        "first difference",
        "row \(divergence.row), where the plaintext margin is "
          + LogitComparison.text(divergence.margin),
      ])
    }
    table.addRow(["largest logit difference", LogitComparison.text(largestDifference)])
    table.addRow(["mean logit difference", LogitComparison.text(meanDifference)])
    return TextDocument(table)
  }

  public var json: JSON {
    var members: [String: JSON] = [
      "rows": .integer(rowCount), "comparedRows": .integer(comparedRowCount),
      "largestDifference": .number(Double(largestDifference)),
      "meanDifference": .number(Double(meanDifference)), "divergence": .null,
    ]
    if let divergence {
      members["divergence"] = [
        "row": .integer(divergence.row), "secureToken": .integer(divergence.secureToken),
        "plaintextToken": .integer(divergence.plaintextToken),
        "margin": .number(Double(divergence.margin)),
      ]
    }
    return .object(members)
  }
}
