// A text of a decoder that grows at its end: each row is evaluated once.

public import Bytes

/// The rows of a text that every attention reads, kept so that more tokens cost their own rows alone.
///
/// What is kept equals the rows of `FloatInterpreter.run` but for rounding: sums may be added up in another
/// order.
public struct GrowingText {
  private let interpreter: FloatInterpreter
  /// The tokens whose rows are kept.
  public private(set) var tokens: [Int] = []
  /// Keys and values by the node that writes them, row-major [tokens, width].
  private var rows: [ModelValue: [Float]] = [:]

  /// - Parameter interpreter: Of a decoder whose tokens see no later one.
  public init(_ interpreter: FloatInterpreter) {
    precondition(
      interpreter.model.kind == .decoder, "only a decoder's rows do not depend on what follows")
    self.interpreter = interpreter
  }

  /// The output row of the last of `text`, [width]; rows are computed from the first token on that
  /// differs from what is kept, and at least the last.
  ///
  /// - Throws: `InputError` for a text that the model does not take, or where a weight cannot be read.
  public mutating func lastRow(of text: [Int]) throws(InputError) -> [Float] {
    try interpreter.model.check(text)
    keep(min(zip(tokens, text).prefix { $0 == $1 }.count, text.count - 1))
    let model = interpreter.model
    let new = Array(text[tokens.count...])
    var batch = TextBatch()
    batch.append(new, at: tokens.count)
    var values = [[Float]](repeating: [], count: model.nodes.count)
    var added: Set<ModelValue> = []
    for (index, node) in model.nodes.enumerated() {
      if case .attention(let query, let key, let value, _) = node.operation {
        // Several layers may read the same keys.
        for kept in [key, value] where added.insert(kept).inserted {
          rows[kept, default: []] += values[kept]
        }
        values[index] = try interpreter.attend(
          index, query: values[query], keys: rows[key] ?? [], values: rows[value] ?? [],
          firstPosition: tokens.count, count: new.count)
      } else {
        values[index] = try interpreter.evaluate(index, batch, values: values, observe: nil)
      }
    }
    tokens = text
    return values[model.nodes.count - 1].suffix(model.nodes[model.nodes.count - 1].width)
  }

  /// Forgets all rows but the first `count`, those of an evaluation that failed among them.
  private mutating func keep(_ count: Int) {
    tokens.removeSubrange(count...)
    for (value, kept) in rows {
      rows[value] = Array(kept.prefix(count * interpreter.model.nodes[value].width))
    }
  }
}
