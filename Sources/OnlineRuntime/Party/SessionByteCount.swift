// How much memory a session takes at a party while it runs, from shapes alone.

import Models
import Program

extension SecureProgram {
  /// Bytes that a party takes for a session of `shape` beside its file, a little above what
  /// `tools/measure/throughput --memory` finds: 4 MiB; the opened keys and values that a decoder keeps, each
  /// with its mask, for all rows; and seven times the most that values of the prompt take at once, for what is
  /// drawn, sent and received of them.
  func wordByteCount(of shape: SessionShape) -> Int {
    let rowCount = shape.promptCapacity
    let step = SessionStep(session: shape, rows: 0..<rowCount, index: 0)
    func wordCount(_ value: ValueID) -> Int {
      if values[value].shape.columns.runningBlocks != nil {
        return shape.dealtCount(values[value].shape)
      }
      return step.elementCount(values[value].shape)
    }
    var lastUse = [Int](repeating: -1, count: values.count)
    for (index, node) in nodes.enumerated() {
      for value in node.operation.inputs { lastUse[value] = index }
    }
    var live = 0
    var peak = 0
    for (index, node) in nodes.enumerated() {
      live += node.outputs.reduce(0) { $0 + wordCount($1) }
      peak = max(peak, live)
      for value in Set(node.operation.inputs).union(node.outputs) where lastUse[value] <= index {
        live -= wordCount(value)
      }
    }
    let cached =
      kind.isDecoder ? cachedValues.reduce(0) { $0 + shape.dealtCount(values[$1].shape) } : 0
    return (4 << 20) + 8 * (2 * cached + 7 * peak)
  }
}
