// One session's correlated randomness for one party, on disk.

public import Bytes
public import Containers
import Models
public import Program
import Randomness
public import Sharing

/// Names and sizes of the arrays in a correlation file.
enum CorrelationLayout {
  static let seedName = "seed"

  static func words(node: Int, component: Int) -> String { "operations/\(node)/\(component)" }
  static func keys(node: Int) -> String { "operations/\(node)/keys" }
  static func keysDigest(node: Int) -> String { "operations/\(node)/keysDigest" }

  /// The datasets of the file of `party`.
  static func datasets(
    _ program: SecureProgram, _ shape: SessionShape, party: Int, deployment: Deployment,
    keys copies: KeyCopies
  ) -> [DatasetDescription] {
    let holders = KeyHolders(program, shape, in: deployment, copies: copies)
    var result = [
      DatasetDescription(
        name: seedName, elementType: .u8, shape: [Seed.byteCount], storage: .raw)
    ]
    for index in program.nodes.indices {
      for (number, component) in program.correlationComponents(index).enumerated()
      where program.holder(node: index, component: number, in: deployment) == party {
        result.append(
          DatasetDescription(
            name: words(node: index, component: number), elementType: .u8,
            shape: [component.wordCount(shape), component.wordByteCount], storage: .raw))
      }
      guard let (value, key) = program.nodes[index].operation.dealtKey else { continue }
      guard holders.stores(index, party: party) else {
        result.append(
          DatasetDescription(
            name: keysDigest(node: index), elementType: .u8,
            shape: [KeyHolders.digestByteCount], storage: .raw))
        continue
      }
      result.append(
        DatasetDescription(
          name: keys(node: index), elementType: .u8,
          shape: [shape.dealtCount(program.values[value].shape), key.byteCount], storage: .raw))
    }
    return result
  }
}

/// An open correlation file.
public struct CorrelationFile: Sendable {
  public let path: String
  public let header: CorrelationHeader
  private let reader: ContainerReader

  /// Root digest of the container.
  var digest: [UInt8] { reader.digest }

  /// Opens `path`; `verifying` compares all its content with the digests.
  public init(path: String, verifying: Bool) throws(InputError) {
    try self.init(
      ContainerReader(path: path, kind: "correlations", verifying: verifying), path: path)
  }

  /// Opens a session file, which may be sealed, and compares all of it with its manifest or, where
  /// it has none, with the digests in it.
  public init(_ file: SessionFile, access: FileAccess) throws(InputError) {
    try self.init(
      access.reader(file.path, kind: "correlations", entry: file.entry), path: file.path)
    guard header == file.header else {
      throw InputError(file.path, place: "session", "is another session than it was listed as")
    }
  }

  private init(_ reader: ContainerReader, path: String) throws(InputError) {
    self.reader = reader
    header = try CorrelationHeader(reader.header, source: path)
    self.path = path
  }

  /// Checks that the file is for `party` of this conversion and holds what `program` consumes.
  public func check(party: Int, conversion: Conversion, program: SecureProgram)
    throws(InputError)
  {
    try header.check(party: party, conversion: conversion, program: program, path: path)
    let expected = CorrelationLayout.datasets(
      program, header.shape, party: party, deployment: conversion.deployment, keys: header.keys)
    let found = Dictionary(
      reader.datasets.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for dataset in expected where found[dataset.name] != dataset {
      throw InputError(path, place: dataset.name, "is missing or has another type or shape")
    }
    guard found.count == expected.count else {
      throw InputError(path, "holds \(found.count) arrays, \(expected.count) are expected")
    }
  }

  /// Gets the file ready to be read in place, after it was compared with its digests.
  public func populate() throws(InputError) { try reader.populate() }

  /// The party's streams of this session.
  public func streams() throws(InputError) -> SessionStreams {
    SessionStreams(
      seed: Seed(
        bytes: try reader.read(
          CorrelationLayout.seedName, as: UInt8.self, shape: [Seed.byteCount])),
      session: header.session, party: header.party)
  }

  /// The stored words of a component, of `wordByteCount` bytes each, in memory.
  public func words(node: Int, component: Int) throws(InputError) -> MappedRegion {
    try reader.region(of: CorrelationLayout.words(node: node, component: component))
  }

  /// The digest of the keys of a node, in the file of the party that does not store them.
  public func keysDigest(node: Int) throws(InputError) -> [UInt8] {
    try reader.read(
      CorrelationLayout.keysDigest(node: node), as: UInt8.self,
      shape: [KeyHolders.digestByteCount])
  }

  /// The bytes of the comparison keys of a node, in memory.
  public func keys(node: Int) throws(InputError) -> MappedRegion {
    try reader.region(of: CorrelationLayout.keys(node: node))
  }
}
