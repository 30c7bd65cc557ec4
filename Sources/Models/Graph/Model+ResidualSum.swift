// Which linear layers write into a residual stream.

extension Model {
  /// The sum that alone reads the output of node `index`, and its other term, where that is
  /// computed before the node; nil for all other nodes.
  public func residualSum(of index: Int) -> (sum: Int, residual: Int)? {
    let readers = nodes.indices.filter { nodes[$0].operation.inputs.contains(index) }
    guard readers.count == 1, case .add(let first, let second) = nodes[readers[0]].operation else {
      return nil
    }
    let other = first == index ? second : first
    return other < index ? (readers[0], other) : nil
  }
}
