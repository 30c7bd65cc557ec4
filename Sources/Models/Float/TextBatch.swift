// Several texts that go through a model together, their positions one after the other.

import Bytes

/// Rows of activations: all positions of the first text, then those of the next.
struct TextBatch {
  struct Text {
    var tokens: [Int]
    var context: TextContext
    /// Its rows in the activations.
    var rows: Range<Int>
    /// Position of its first token.
    var firstPosition = 0
  }

  private(set) var texts: [Text] = []
  /// Positions of all texts.
  private(set) var rowCount = 0

  /// - Throws: `InputError` where the model does not take the text.
  mutating func append(_ tokens: [Int], model: Model) throws(InputError) {
    try model.check(tokens)
    let context = try model.contextMarkers?.context(of: tokens) ?? TextContext()
    texts.append(
      Text(tokens: tokens, context: context, rows: rowCount..<rowCount + tokens.count))
    rowCount += tokens.count
  }
  /// Tokens as they stand from `position` on; what reads other rows has to know those before.
  mutating func append(
    _ tokens: [Int], at position: Int, _ context: TextContext = TextContext()
  ) {
    texts.append(
      Text(
        tokens: tokens, context: context, rows: rowCount..<rowCount + tokens.count,
        firstPosition: position))
    rowCount += tokens.count
  }
}
