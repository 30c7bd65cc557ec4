// Single tokens through what comes before the first attention: all rows of a vocabulary.

public import Bytes

/// A token by itself, as it stands at a position of a text.
public struct TokenRow: Equatable, Sendable {
  public var token: Int
  public var position: Int

  public init(token: Int, position: Int) {
    self.token = token
    self.position = position
  }
}

extension Model {
  /// The first nodes, which read nothing but their own row: up to the first normalisation, or all
  /// before the first attention or rotation where none is there. 0 for a model without embedding.
  public var rowNodeCount: Int {
    guard case .embed? = nodes.first?.operation else { return 0 }
    for (index, node) in nodes.enumerated() {
      switch node.operation {
      case .layerNorm, .rmsNorm: return index + 1
      case .attention, .rotary, .pool: return index
      default: continue
      }
    }
    return nodes.count
  }
}

extension FloatInterpreter {
  /// Runs the first `Model.rowNodeCount` nodes on `rows`; the observer gets row-major
  /// [rows.count, width] outputs, and one variance a row.
  ///
  /// - Throws: `InputError` where a weight cannot be read.
  public func observe(rows: [TokenRow], _ observe: @escaping Observer) throws(InputError) {
    _ = try values(of: rows, nodeCount: model.rowNodeCount, observe)
  }

  /// Row-major outputs of the first `nodeCount` nodes, which read nothing but their own row, for `rows`.
  func values(
    of rows: [TokenRow], nodeCount: Int, _ observe: @escaping Observer
  ) throws(InputError) -> [[Float]] {
    // Where a context has places of its own, rows are of one that fills all positions.
    let context =
      model.contextMarkers == nil ? TextContext() : TextContext(length: model.maximumPositions)
    var batch = TextBatch()
    for row in rows { batch.append([row.token], at: row.position, context) }
    var values: [[Float]] = []
    for index in 0..<nodeCount {
      values.append(try evaluate(index, batch, values: values, observe: observe))
      observe(index, .output, values[index])
    }
    return values
  }
}
