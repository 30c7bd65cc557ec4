// Which non-linear operations a graph has, how many, and how wide: what a secure program pays for.

/// All nodes of a graph that apply the same non-linear function to rows of the same width.
public struct NonLinearOperations: Equatable, Sendable {
  /// "layerNorm", "rmsNorm", "softmax", "multiply", or the name of an activation.
  public var kind: String
  public var nodeCount: Int
  /// Rows that one node handles at each position: the heads of a softmax, otherwise one.
  public var rowsPerPosition: Int
  /// Elements of a row; for a softmax the longest row, that of a text as long as the model allows.
  public var rowWidth: Int

  public init(kind: String, nodeCount: Int, rowsPerPosition: Int, rowWidth: Int) {
    self.kind = kind
    self.nodeCount = nodeCount
    self.rowsPerPosition = rowsPerPosition
    self.rowWidth = rowWidth
  }
}

extension Model {
  /// The non-linear operations in the order in which their kinds first appear.
  public var nonLinearOperations: [NonLinearOperations] {
    var result: [NonLinearOperations] = []
    for node in nodes {
      guard let operations = nonLinearOperation(node) else { continue }
      let same = result.firstIndex {
        $0.kind == operations.kind && $0.rowsPerPosition == operations.rowsPerPosition
          && $0.rowWidth == operations.rowWidth
      }
      if let same {
        result[same].nodeCount += 1
      } else {
        result.append(operations)
      }
    }
    return result
  }

  private func nonLinearOperation(_ node: ModelNode) -> NonLinearOperations? {
    switch node.operation {
    case .embed, .linear, .rotary, .add, .scale, .pool, .gated: nil
    case .layerNorm(_, let normalisation):
      NonLinearOperations(
        kind: "layerNorm", nodeCount: 1, rowsPerPosition: normalisation.groupCount,
        rowWidth: node.width / normalisation.groupCount)
    case .rmsNorm(_, let normalisation):
      NonLinearOperations(
        kind: "rmsNorm", nodeCount: 1, rowsPerPosition: normalisation.groupCount,
        rowWidth: node.width / normalisation.groupCount)
    case .softCap:
      NonLinearOperations(
        kind: "softCap", nodeCount: 1, rowsPerPosition: 1, rowWidth: node.width)
    case .gates:
      NonLinearOperations(kind: "gates", nodeCount: 1, rowsPerPosition: 1, rowWidth: node.width)
    case .multiply:
      NonLinearOperations(
        kind: "multiply", nodeCount: 1, rowsPerPosition: 1, rowWidth: node.width)
    case .attention(_, _, _, let settings):
      NonLinearOperations(
        kind: "softmax", nodeCount: 1, rowsPerPosition: settings.headCount,
        rowWidth: maximumKeyCount(settings))
    case .activation(_, let activation):
      NonLinearOperations(
        kind: activation.rawValue, nodeCount: 1, rowsPerPosition: 1, rowWidth: node.width)
    }
  }

  /// Most keys that a position sees in an attention operation.
  public func maximumKeyCount(_ settings: AttentionSettings) -> Int {
    guard let window = settings.window else { return maximumPositions }
    return min(maximumPositions, kind == .decoder ? window : 2 * window - 1)
  }
}
