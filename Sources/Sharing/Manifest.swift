// manifest.json: the digests of a conversion's files and what each role learns.

public import Bytes
import Models
public import Program

/// What one role learns, beyond its own input and output, from one class of operations.
public struct LeakageEntry: Equatable, Sendable {
  public var operations: String
  public var role: String
  public var learns: String

  /// What the operations of `program` reveal in the two-server deployment.
  public static func report(_ program: SecureProgram) -> [LeakageEntry] {
    var entries = [
      LeakageEntry(
        operations: "all", role: "each party",
        learns: "nothing but uniformly masked values, while the other party and the dealer do not "
          + "collude with it"),
      LeakageEntry(
        operations: "all", role: "each party",
        learns: "the program: architecture, shapes, scales and calibrated ranges; lengths of "
          + "prompts and answers, and when they are asked"),
      LeakageEntry(
        operations: "output", role: "client",
        learns: program.kind == .decoder
          ? "the logits of the last position of each step"
          : "the last hidden states"),
      LeakageEntry(
        operations: "dealing", role: "dealer",
        learns: "the weights (the owner is the dealer); never an input or an output"),
    ]
    if program.clientInput == .embedding {
      entries.append(
        LeakageEntry(
          operations: "embedding", role: "client",
          learns: "the embedding, position and segment tables (recipe option embedding: client)"))
    }
    return entries
  }

  public var json: JSON {
    ["operations": .string(operations), "role": .string(role), "learns": .string(learns)]
  }
}

/// Names the files of one conversion.
public struct Manifest: Equatable, Sendable {
  public var conversion: Conversion
  public var deployment: String
  /// Root digest of each container by file name.
  public var files: [String: [UInt8]]
  public var leakage: [LeakageEntry]

  public init(
    conversion: Conversion, deployment: String, files: [String: [UInt8]], leakage: [LeakageEntry]
  ) {
    self.conversion = conversion
    self.deployment = deployment
    self.files = files
    self.leakage = leakage
  }

  public var json: JSON {
    .object(
      conversion.members.merging([
        "deployment": .string(deployment),
        "files": .object(files.mapValues { .string($0.hexadecimal) }),
        "leakage": .array(leakage.map(\.json)),
      ]) { first, _ in first })
  }

  /// Reads `path` strictly.
  public init(path: String) throws(InputError) {
    let bytes = try MappedFile(path: path).allBytes(atMost: 1 << 20)
    var reader = try JSONReader(JSON.parse(bytes, source: path), source: path)
    conversion = try Conversion(&reader)
    deployment = try reader.string("deployment")
    guard case .object(let names) = try reader.value("files") else {
      throw reader.failure("files", "expected an object")
    }
    files = [:]
    var entries = try JSONReader(.object(names), source: path, place: "files")
    for name in names.keys { files[name] = try entries.hexadecimal(name, byteCount: 32) }
    leakage = []
    for (index, element) in try reader.array("leakage").enumerated() {
      var entry = try JSONReader(element, source: path, place: "leakage[\(index)]")
      leakage.append(
        LeakageEntry(
          operations: try entry.string("operations"), role: try entry.string("role"),
          learns: try entry.string("learns")))
      try entry.finish()
    }
    try reader.finish()
  }
}
