// The weights of a running interpreter: kept in memory where they fit the budget, else read in
// parts.

import Bytes
import Foundation

/// Parts of weights, from memory or anew from their source.
struct WeightStore: Sendable {
  /// Rows of a matrix.
  struct Part {
    var rows: Range<Int>
    var values: [Float]
  }

  let memory: MemoryBudget
  private let source: any WeightSource
  /// Empty unless the whole model fits.
  private let resident: [String: [Float]]

  /// Reads all weights of `model` where they fit the budget.
  /// - Throws: `InputError` where the source cannot give one.
  init(_ model: Model, source: some WeightSource, memory: MemoryBudget) throws(InputError) {
    self.source = source
    self.memory = memory
    var resident: [String: [Float]] = [:]
    let byteCount = model.weights.reduce(0) { $0 + $1.elementCount * MemoryLayout<Float>.size }
    if byteCount <= memory.residentWeightByteCount {
      for shape in model.weights {
        let values = try source.weight(shape.name)
        precondition(values.count == shape.elementCount, "the weight must have its declared shape")
        resident[shape.name] = values
      }
    }
    self.resident = resident
  }

  /// Whether all weights are in memory.
  var isResident: Bool { !resident.isEmpty }

  /// All elements of a vector.
  func vector(_ name: String) throws(InputError) -> [Float] {
    if let values = resident[name] { return values }
    return try source.weight(name)
  }

  /// Rows of a matrix with `columnCount` columns.
  func rows(_ rows: Range<Int>, of name: String, columnCount: Int) throws(InputError)
    -> ArraySlice<Float>
  {
    let range = rows.lowerBound * columnCount..<rows.upperBound * columnCount
    if let values = resident[name] { return values[range] }
    return try source.weight(name, in: range)[...]
  }

  /// Calls `body` with all rows of a matrix, part by part.
  func forEachPart(
    of name: String, rowCount: Int, columnCount: Int, _ body: (Part) -> Void
  ) throws(InputError) {
    if let values = resident[name] {
      body(Part(rows: 0..<rowCount, values: values))
      return
    }
    let parts = memory.parts(rowCount: rowCount, columnCount: columnCount)
    // One part on every core is read at a time; what is done with it has threads of its own.
    let concurrentCount = ProcessInfo.processInfo.activeProcessorCount
    for first in stride(from: 0, to: parts.count, by: concurrentCount) {
      let count = min(concurrentCount, parts.count - first)
      let read = try ConcurrentTasks.map(count) { (index) throws(InputError) -> Part in
        let rows = parts[first + index]
        return Part(
          rows: rows,
          values: try source.weight(
            name, in: rows.lowerBound * columnCount..<rows.upperBound * columnCount))
      }
      for part in read { body(part) }
    }
  }
}
