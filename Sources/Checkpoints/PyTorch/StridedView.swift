// Elements of a strided view, copied into row-major order.

enum StridedView {
  /// Elements `elements`, counted row-major, of a view that begins at the first of `bytes`; strides
  /// count elements.
  ///
  /// The caller has made sure that every element lies inside `bytes`.
  static func gather(
    _ bytes: RawSpan, _ elements: Range<Int>, shape: [Int], strides: [Int], elementByteCount: Int
  ) -> [UInt8] {
    let count = elements.count
    var position = [Int](repeating: 0, count: shape.count)
    var offset = 0
    var rest = elements.lowerBound
    for axis in shape.indices.reversed() where shape[axis] > 0 {
      position[axis] = rest % shape[axis]
      rest /= shape[axis]
      offset &+= strides[axis] &* position[axis]
    }
    return unsafe bytes.withUnsafeBytes { source in
      unsafe [UInt8](unsafeUninitializedCapacity: count * elementByteCount) { target, filled in
        for element in 0..<count {
          for byte in 0..<elementByteCount {
            unsafe target[element * elementByteCount + byte] =
              source[offset * elementByteCount + byte]
          }
          // The next position, the last axis first; axes of length 1 may have any stride.
          var axis = shape.count - 1
          while axis >= 0 {
            position[axis] += 1
            offset &+= strides[axis]
            if position[axis] < shape[axis] { break }
            offset &-= strides[axis] &* shape[axis]
            position[axis] = 0
            axis -= 1
          }
        }
        filled = count * elementByteCount
      }
    }
  }
}
