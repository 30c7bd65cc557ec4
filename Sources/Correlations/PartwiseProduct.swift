// Products with a weight that is not in memory as a whole.

package import Bytes
package import Program
package import Rings

extension ProgramWeight {
  /// x W^T modulo 2^64, row-major [rowCount, outputCount].
  ///
  /// - Parameters:
  ///   - elementBits: Every element is a signed integer of so many bits: 16, 32 or 64.
  ///   - partWordCount: Most elements of the weight that are in memory at a time, but at least a row.
  ///   - left: Gives some columns of x.
  ///   - elements: Gives some elements of the weight, counted row-major.
  package func product(
    rowCount: Int, elementBits: Int, partWordCount: Int, arm: KernelArm,
    left: (_ columns: Range<Int>) -> RingOperand<UInt64>,
    elements: (Range<Int>) throws(InputError) -> [UInt64]
  ) throws(InputError) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: rowCount * outputCount)
    let partRows = max(1, partWordCount / columnCount)
    for start in stride(from: 0, to: self.rowCount, by: partRows) {
      let stored = start..<min(start + partRows, self.rowCount)
      let words = try elements(
        stored.lowerBound * columnCount..<stored.upperBound * columnCount)
      let part = RingOperand(words, rows: stored.count, columns: columnCount, bits: elementBits)
      if isTransposed {
        // Stored rows are inputs: parts of the weight add up.
        var span = result.mutableSpan
        RingProduct.multiply(
          left(stored), part, into: &span, stride: outputCount, accumulate: start > 0, arm: arm)
      } else {
        unsafe result.withUnsafeMutableBufferPointer { result in
          var span = unsafe result.extracting(start..<result.count).mutableSpan
          RingProduct.multiply(
            left(0..<inputCount), part.transposed, into: &span, stride: outputCount, arm: arm)
        }
      }
    }
    return result
  }
}
