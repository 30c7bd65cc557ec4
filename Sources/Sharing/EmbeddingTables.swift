// The embedding tables as ring elements, where the recipe hands them to the client.

import Approximation
public import Bytes
import Models
import Program

/// Token and position tables whose rows a client adds up and shares.
public struct EmbeddingTables: Sendable {
  /// Row-major [vocabularySize, width].
  let tokens: [Int32]
  /// Row-major [maximumPositions, width]; the segment row of an encoder is added already.
  let positions: [Int32]
  let width: Int

  init(tokens: [Int32], positions: [Int32], width: Int) {
    self.tokens = tokens
    self.positions = positions
    self.width = width
  }

  /// Encodes the tables of `file` with the recipe's fractional bits.
  public init(_ file: ModelFile) throws(InputError) {
    guard let node = file.model.nodes.first,
      case .embed(let tokens, let positions, let offset, let segments) = node.operation
    else { throw InputError("model", "the model has no embedding") }
    let encoder = WeightEncoder(source: "model", weights: file)
    func encode(_ name: String, rows: Int, formula: WeightFormula) throws(InputError) -> [Int32] {
      let words = try encoder.encode(
        ProgramWeight(
          name: name, rowCount: rows, columnCount: node.width,
          fractionalBits: file.recipe.fractionalBits, source: formula))
      var result: [Int32] = []
      for word in words {
        guard let value = Int32(exactly: Int64(bitPattern: word)) else {
          throw InputError("model", place: name, "an element does not fit 32 bits")
        }
        result.append(value)
      }
      return result
    }
    self.tokens = try encode(
      tokens, rows: file.model.vocabularySize, formula: WeightFormula(tensor: tokens))
    let table = try encode(
      "positions", rows: file.model.maximumPositions + offset,
      formula: WeightFormula(tensor: positions, addedRow: segments))
    self.positions = Array(table.dropFirst(offset * node.width))
    width = node.width
  }

  /// Rows of the token table.
  public var vocabularySize: Int { tokens.count / width }

  /// Input rows of `identifiers` from position `start` on.
  /// - Throws: `InputError` for a token or a position outside the tables.
  public func rows(_ identifiers: [Int], start: Int) throws(InputError) -> [UInt64] {
    var result: [UInt64] = []
    for (index, token) in identifiers.enumerated() {
      let position = start + index
      guard (0..<tokens.count / width).contains(token), position < positions.count / width else {
        throw InputError("tokens", "token \(token) at position \(position) is outside the tables")
      }
      for column in 0..<width {
        let sum =
          Int64(tokens[token * width + column]) + Int64(positions[position * width + column])
        result.append(UInt64(bitPattern: sum))
      }
    }
    return result
  }
}
