// Operands as the kernels see them.

internal import CRingKernels

/// What a producer called from C is found by.
@unsafe private final class ProducerBox {
  /// Row, column, row count, column count, block.
  let produce: (Int, Int, Int, Int, UnsafeMutableRawPointer) -> Void

  init(_ produce: @escaping (Int, Int, Int, Int, UnsafeMutableRawPointer) -> Void) {
    unsafe self.produce = produce
  }
}

extension RingOperand {
  /// Calls `body` with this operand for the kernels; it must not leave `body`.
  func withKernelOperand(_ body: (lodge_operand) -> Void) {
    var operand = unsafe lodge_operand()
    unsafe operand.row_stride = rowStride
    unsafe operand.column_stride = columnStride
    unsafe operand.bits = CInt(bits)
    switch source {
    case .words(let words, let offset):
      unsafe words.withUnsafeBufferPointer { words in
        unsafe operand.elements = words.baseAddress.map { unsafe UnsafeRawPointer($0 + offset) }
        unsafe body(operand)
      }
    case .produced(let produce):
      let box = unsafe ProducerBox { row, column, rows, columns, block in
        let elements = unsafe UnsafeMutableBufferPointer(
          start: block.bindMemory(to: Element.self, capacity: rows * columns),
          count: rows * columns)
        var span = unsafe elements.mutableSpan
        produce(
          RingBlock(rows: row..<(row + rows), columns: column..<(column + columns)), &span)
      }
      unsafe withExtendedLifetime(box) {
        unsafe operand.context = Unmanaged.passUnretained(box).toOpaque()
        unsafe operand.produce = { context, row, column, rows, columns, block in
          let box = unsafe Unmanaged<ProducerBox>.fromOpaque(context).takeUnretainedValue()
          unsafe box.produce(row, column, rows, columns, block)
        }
        unsafe body(operand)
      }
    }
  }
}
