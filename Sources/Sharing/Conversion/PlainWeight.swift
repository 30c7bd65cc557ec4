// Weights as integers in the narrowest type that holds them all.

import Bytes
import Containers
import Models
import Program

/// A weight in a file, each element a signed integer.
struct PlainWeight {
  private let name: String
  private let reader: ContainerReader
  let elementType: ElementType

  /// - Throws: `InputError` where the dataset of weight `id` has another shape.
  init(_ id: WeightID, of program: SecureProgram, in reader: ContainerReader) throws(InputError) {
    name = "weights/\(id)"
    self.reader = reader
    let weight = program.weights[id]
    let description = try reader.description(of: name)
    let shape = [weight.rowCount, weight.columnCount]
    guard description.shape == shape else {
      throw InputError(
        reader.path, place: name, "has shape \(description.shape), \(shape) is expected")
    }
    elementType = description.elementType
  }

  /// Elements `range`, counted row-major, as ring elements.
  func elements(in range: Range<Int>) throws(InputError) -> [UInt64] {
    func read<T: ContainerElement & FixedWidthInteger>(_ type: T.Type) throws(InputError)
      -> [UInt64]
    {
      try reader.elements(of: name, in: range, as: type).map { UInt64(truncatingIfNeeded: $0) }
    }
    switch elementType {
    case .i16: return try read(Int16.self)
    case .i32: return try read(Int32.self)
    default: return try read(Int64.self)
    }
  }

  /// The same as they are stored, where that is in 16 bits.
  func halves(in range: Range<Int>) throws(InputError) -> [Int16]? {
    guard elementType == .i16 else { return nil }
    return try reader.elements(of: name, in: range, as: Int16.self)
  }

  /// The narrowest of i16, i32 and i64 that holds every element of each of `weights`.
  static func elementTypes(
    _ weights: some Sequence<WeightID>, of program: SecureProgram, _ encoder: WeightEncoder,
    _ memory: MemoryBudget
  ) throws(InputError) -> [WeightID: ElementType] {
    var result: [WeightID: ElementType] = [:]
    for id in weights {
      let weight = program.weights[id]
      let parts = weight.parts(memory)
      let widths = try ConcurrentTasks.map(parts.count) { (index) throws(InputError) in
        try encoder.encode(weight, in: parts[index]).usedBits
      }
      result[id] = elementType(usedBits: widths.reduce(0, |))
    }
    return result
  }

  private static func elementType(usedBits bits: UInt64) -> ElementType {
    bits < 1 << 15 ? .i16 : bits < 1 << 31 ? .i32 : .i64
  }

  /// The narrowest type of words that are needed modulo 2^32 only, or else in the whole ring.
  static func maskedElementType(_ id: WeightID, of program: SecureProgram) -> ElementType {
    let isNarrow = program.nodes.allSatisfy { node in
      node.operation.weight != id || program.values[node.outputs.lowerBound].ringBits <= 32
    }
    return isNarrow ? .i32 : .i64
  }

  /// Writes `words` in the element type of `region`, which holds them as far as they matter.
  static func write(_ words: [UInt64], to region: RawRegion, atElement first: Int)
    throws(InputError)
  {
    switch region.description.elementType {
    case .i16: try region.write(words.map { Int16(truncatingIfNeeded: $0) }, atElement: first)
    case .i32: try region.write(words.map { Int32(truncatingIfNeeded: $0) }, atElement: first)
    default: try region.write(words.map { Int64(bitPattern: $0) }, atElement: first)
    }
  }
}
