// The means of the columns of matrices, which all parts of a weight need.

import Bytes
import Models
import Synchronization

/// Means of columns, each matrix read once.
final class ColumnMeans: Sendable {
  private let known = Mutex<[String: [Double]]>([:])

  /// Of the tensor `name`, [rowCount, columnCount]: summed in double from row 0 up.
  func of(_ name: String, _ weights: any WeightSource, columnCount: Int, rowCount: Int)
    throws(InputError) -> [Double]
  {
    try known.withLock { known throws(InputError) in
      if let means = known[name] { return means }
      var sums = [Double](repeating: 0, count: columnCount)
      let rowsPerPart = max(1, WeightEncoder.partElementCount / columnCount)
      for first in stride(from: 0, to: rowCount, by: rowsPerPart) {
        let rows = first..<min(first + rowsPerPart, rowCount)
        let values = try weights.weight(
          name, in: rows.lowerBound * columnCount..<rows.upperBound * columnCount)
        for start in stride(from: 0, to: values.count, by: columnCount) {
          for column in 0..<columnCount { sums[column] += Double(values[start + column]) }
        }
      }
      let means = sums.map { $0 / Double(rowCount) }
      known[name] = means
      return means
    }
  }
}
