// One session's correlated randomness for one party, on disk.

public import Bytes
import Containers
import Models
public import Program
import Randomness
public import Sharing

/// What a correlation file is for; every field is checked before anything of it is used.
public struct CorrelationHeader: Equatable, Sendable {
  /// 16 bytes that name the batch.
  public var batch: [UInt8]
  public var session: Int
  public var party: Int
  public var shape: SessionShape
  public var conversion: Conversion

  public init(
    batch: [UInt8], session: Int, party: Int, shape: SessionShape, conversion: Conversion
  ) {
    self.batch = batch
    self.session = session
    self.party = party
    self.shape = shape
    self.conversion = conversion
  }

  var json: JSON {
    [
      "batch": .string(batch.hexadecimal), "session": .integer(session), "party": .integer(party),
      "kind": .string(shape.kind.rawValue), "promptCapacity": .integer(shape.promptCapacity),
      "newCapacity": .integer(shape.newCapacity),
      "conversion": .string(conversion.identifier.hexadecimal),
      "programDigest": .string(conversion.programDigest.hexadecimal),
    ]
  }

  init(_ json: JSON, source: String) throws(InputError) {
    var reader = try JSONReader(json, source: source)
    batch = try reader.hexadecimal("batch", byteCount: 16)
    session = try reader.integer("session", in: 0...Int(UInt32.max) - 1)
    party = try reader.integer("party", in: 0...1)
    let kindText = try reader.string("kind")
    guard let kind = ModelKind(rawValue: kindText) else {
      throw reader.failure("kind", "\"\(kindText)\" is not a kind of model")
    }
    let prompt = try reader.integer("promptCapacity", in: 1...1 << 24)
    let new = try reader.integer("newCapacity", in: 0...1 << 24)
    guard (kind == .encoder) == (new == 0) else {
      throw reader.failure("newCapacity", "\(new) does not fit a \(kindText)")
    }
    shape = SessionShape(kind: kind, promptCapacity: prompt, newCapacity: new)
    conversion = Conversion(
      identifier: try reader.hexadecimal("conversion", byteCount: 16),
      programDigest: try reader.hexadecimal("programDigest", byteCount: 32))
    try reader.finish()
  }
}

/// Names and sizes of the arrays in a correlation file.
enum CorrelationLayout {
  static let seedName = "seed"

  static func words(node: Int, component: Int) -> String { "operations/\(node)/\(component)" }
  static func keys(node: Int) -> String { "operations/\(node)/keys" }

  /// The datasets of the file of `party`.
  static func datasets(_ program: SecureProgram, _ shape: SessionShape, party: Int)
    -> [DatasetDescription]
  {
    var result = [
      DatasetDescription(
        name: seedName, elementType: .u8, shape: [Seed.byteCount], storage: .raw)
    ]
    for index in program.nodes.indices {
      for (number, component) in program.correlationComponents(index).enumerated()
      where SecureProgram.holder(node: index, component: number) == party {
        result.append(
          DatasetDescription(
            name: words(node: index, component: number), elementType: .u64,
            shape: [shape.dealtCount(component.shape)], storage: .raw))
      }
      if case .piecewiseLinear(let x, let function) = program.nodes[index].operation {
        result.append(
          DatasetDescription(
            name: keys(node: index), elementType: .u8,
            shape: [shape.dealtCount(program.values[x].shape), function.keyByteCount],
            storage: .raw))
      }
    }
    return result
  }
}

/// Writes the two files of one session side by side.
public struct SessionFileWriter: ~Copyable, CorrelationSink {
  private let writer0: ContainerWriter
  private let writer1: ContainerWriter

  /// `paths`: where the files of party 0 and party 1 appear once `finish` has succeeded.
  public init(
    paths: [String], header: CorrelationHeader, program: SecureProgram, streams: [SessionStreams]
  ) throws(InputError) {
    func writer(_ party: Int) throws(InputError) -> ContainerWriter {
      var header = header
      header.party = party
      return try ContainerWriter(
        path: paths[party], kind: "correlations", header: header.json,
        datasets: CorrelationLayout.datasets(program, header.shape, party: party))
    }
    let first = try writer(0)
    let second = try writer(1)
    try first.write(CorrelationLayout.seedName, values: streams[0].seed.bytes)
    try second.write(CorrelationLayout.seedName, values: streams[1].seed.bytes)
    writer0 = first
    writer1 = second
  }

  public func store(_ words: [UInt64], party: Int, node: Int, component: Int, at offset: Int)
    throws(InputError)
  {
    let name = CorrelationLayout.words(node: node, component: component)
    if party == 0 {
      try writer0.region(of: name).write(words, atElement: offset)
    } else {
      try writer1.region(of: name).write(words, atElement: offset)
    }
  }

  public func storeKeys(_ bytes: [UInt8], node: Int, at offset: Int) throws(InputError) {
    let name = CorrelationLayout.keys(node: node)
    try writer0.region(of: name).write(bytes, atElement: offset)
    try writer1.region(of: name).write(bytes, atElement: offset)
  }

  /// Publishes both files.
  public consuming func finish() throws(InputError) {
    _ = try writer0.finish()
    _ = try writer1.finish()
  }
}

/// An open correlation file.
public struct CorrelationFile: Sendable {
  public let path: String
  public let header: CorrelationHeader
  private let reader: ContainerReader

  /// Opens `path`; `verifying` compares all its content with the digests.
  public init(path: String, verifying: Bool) throws(InputError) {
    reader = try ContainerReader(path: path, kind: "correlations", verifying: verifying)
    header = try CorrelationHeader(reader.header, source: path)
    self.path = path
  }

  /// Checks that the file is for `party` of this conversion and holds what `program` consumes.
  public func check(party: Int, conversion: Conversion, program: SecureProgram)
    throws(InputError)
  {
    guard header.party == party else {
      throw InputError(
        path, place: "party", "is for party \(header.party), this is party \(party)",
        hint: "give each party its own folder of correlations")
    }
    guard header.conversion.programDigest == conversion.programDigest else {
      throw InputError(
        path, place: "programDigest", "was dealt for another program than the bundle's")
    }
    guard header.conversion.identifier == conversion.identifier else {
      throw InputError(
        path, place: "conversion", "was dealt for another conversion than the bundle's")
    }
    guard header.shape.kind == program.kind, header.shape.rowCapacity <= program.maximumPositions
    else {
      throw InputError(
        path, place: "promptCapacity",
        "\(header.shape.rowCapacity) positions are more than the "
          + "model's \(program.maximumPositions)")
    }
    let expected = CorrelationLayout.datasets(program, header.shape, party: party)
    let found = Dictionary(
      reader.datasets.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for dataset in expected where found[dataset.name] != dataset {
      throw InputError(path, place: dataset.name, "is missing or has another type or shape")
    }
    guard found.count == expected.count else {
      throw InputError(path, "holds \(found.count) arrays, \(expected.count) are expected")
    }
  }

  /// The party's streams of this session.
  public func streams() throws(InputError) -> SessionStreams {
    SessionStreams(
      seed: Seed(
        bytes: try reader.read(
          CorrelationLayout.seedName, as: UInt8.self, shape: [Seed.byteCount])),
      session: header.session, party: header.party)
  }

  /// Stored words of a component at `ranges`.
  public func words(node: Int, component: Int, ranges: [Range<Int>]) throws(InputError)
    -> [UInt64]
  {
    let name = CorrelationLayout.words(node: node, component: component)
    if ranges.count == 1 { return try reader.words(of: name, range: ranges[0]) }
    var result: [UInt64] = []
    for range in ranges { result += try reader.words(of: name, range: range) }
    return result
  }

  /// Comparison keys of the elements at `ranges`, `keyByteCount` bytes each.
  public func withKeys<Result>(
    node: Int, keyByteCount: Int, ranges: [Range<Int>], _ body: (RawSpan) -> Result
  ) throws(InputError) -> Result {
    let name = CorrelationLayout.keys(node: node)
    func bytes(_ range: Range<Int>) -> Range<Int> {
      range.lowerBound * keyByteCount..<range.upperBound * keyByteCount
    }
    if ranges.count == 1 {
      return try reader.withBytes(of: name, range: bytes(ranges[0])) { body($0) }
    }
    var keys: [UInt8] = []
    for range in ranges {
      keys += try reader.elements(of: name, in: bytes(range), as: UInt8.self)
    }
    return unsafe body(keys.span.bytes)
  }
}
