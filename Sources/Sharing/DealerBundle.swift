// dealer.bundle: the program and, where the owner is the dealer, the weights it multiplies.

public import Bytes
import Containers
import Models
public import Program

/// What the dealer of a two-server conversion needs. It holds the owner's plaintext weights.
public struct DealerBundle: Sendable {
  public let path: String
  public let conversion: Conversion
  public let program: SecureProgram
  private let reader: ContainerReader

  static let fileName = "dealer.bundle"

  /// Opens the dealer's bundle in `folder`, which `lodge-model share` wrote.
  public static func open(in folder: String) throws(InputError) -> DealerBundle {
    try FileKind.expecting(.shares, at: folder) { () throws(InputError) in
      try DealerBundle(path: "\(folder)/\(fileName)")
    }
  }

  /// Opens a bundle and verifies all its digests.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader.open(path, .dealer)
    var header = try JSONReader(reader.header, source: path)
    self.path = path
    conversion = try Conversion(&header)
    program = try SecureProgram(json: header.value("program"), source: path)
    try header.finish()
    guard program.digest == conversion.programDigest else {
      throw InputError(path, place: "programDigest", "is not the digest of the program")
    }
    try reader.requireExactly(
      program.multipliedWeights.map { "weights/\($0)" } + [Salt.name])
    try Salt.check(reader)
    self.reader = reader
  }

  /// Every element of weight `id` is a signed integer of so many bits: 16, 32 or 64.
  public func elementBits(_ id: WeightID) throws(InputError) -> Int {
    8 * (try description(id).elementType.byteCount)
  }

  /// Elements `range` of weight `id`, counted row-major, as ring elements.
  public func elements(_ id: WeightID, in range: Range<Int>) throws(InputError) -> [UInt64] {
    func read<T: ContainerElement & FixedWidthInteger>(_ type: T.Type) throws(InputError)
      -> [UInt64]
    {
      try reader.elements(of: name(id), in: range, as: type).map {
        UInt64(truncatingIfNeeded: $0)
      }
    }
    switch try description(id).elementType {
    case .i16: return try read(Int16.self)
    case .i32: return try read(Int32.self)
    default: return try read(Int64.self)
    }
  }

  /// Weight `id` as row-major ring elements.
  public func weight(_ id: WeightID) throws(InputError) -> [UInt64] {
    try elements(id, in: 0..<program.weights[id].elementCount)
  }

  private func name(_ id: WeightID) -> String { "weights/\(id)" }

  /// The dataset of weight `id`, which must have its shape.
  private func description(_ id: WeightID) throws(InputError) -> DatasetDescription {
    let weight = program.weights[id]
    let description = try reader.description(of: name(id))
    let shape = [weight.rowCount, weight.columnCount]
    guard description.shape == shape else {
      throw InputError(
        path, place: name(id), "has shape \(description.shape), \(shape) is expected")
    }
    return description
  }
}

// MARK: Writing

extension DealerBundle {
  /// The narrowest of i16, i32 and i64 that holds every element of each weight that is multiplied.
  static func elementTypes(
    _ program: SecureProgram, _ encoder: WeightEncoder, _ memory: MemoryBudget
  ) throws(InputError) -> [WeightID: ElementType] {
    var result: [WeightID: ElementType] = [:]
    for id in program.multipliedWeights {
      let weight = program.weights[id]
      let parts = weight.parts(memory)
      let widths = try ConcurrentTasks.map(parts.count) { (index) throws(InputError) in
        try encoder.encode(weight, in: parts[index]).usedBits
      }
      let bits = widths.reduce(0, |)
      result[id] = bits < 1 << 15 ? .i16 : bits < 1 << 31 ? .i32 : .i64
    }
    return result
  }

  /// Writes `words` in the element type of `region`, which holds them.
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
