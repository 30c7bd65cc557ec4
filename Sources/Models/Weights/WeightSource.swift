// Where an interpreter or a converter gets the weights of a graph from.

public import Bytes
import CFloatKernels

/// Weights by their names in the graph.
public protocol WeightSource: Sendable {
  /// The weight `name`, row-major, as many elements as its `WeightShape` says.
  /// - Throws: `InputError` where the file that holds it cannot give it.
  func weight(_ name: String) throws(InputError) -> [Float]

  /// Elements `elements` of the weight `name`, counted row-major.
  /// - Throws: as `weight(_:)` does.
  func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float]

  /// The shortest encoding that holds every element of the weight `name` exactly.
  func encoding(of name: String) -> WeightEncoding

  /// Elements `elements` of the weight `name`, counted row-major, as words of its 16-bit encoding, or nil
  /// where the source must make them of their values.
  /// - Throws: as `weight(_:)` does.
  func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]?

  /// Sizes of the matrix `name`, where they are known without reading it.
  func knownSizes(of name: String) -> MatrixSizes?
}

/// How elements of a weight are encoded in files.
public enum WeightEncoding: String, Sendable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"

  /// The values of `words`, exactly; not for `float32`.
  package func floats(_ words: [UInt16]) -> [Float] {
    precondition(self != .float32, "words of 16 bits")
    guard self == .float16 else {
      return words.map { Float(bitPattern: UInt32($0) << 16) }
    }
    return unsafe [Float](unsafeUninitializedCapacity: words.count) { target, count in
      unsafe lodge_floats_from_halves(words, target.baseAddress, words.count)
      count = words.count
    }
  }
}

extension WeightSource {
  public func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    Array(try weight(name)[elements])
  }

  public func encoding(of name: String) -> WeightEncoding { .float32 }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    nil
  }

  public func knownSizes(of name: String) -> MatrixSizes? { nil }
}
