// manifest.json: the digests of a conversion's files and what each role learns.

public import Bytes
import Models
public import Program
public import Trust

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
        learns: program.kind.isDecoder
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
  /// By file name, without the ending of sealed files.
  public var files: [String: FileEntry]
  public var leakage: [LeakageEntry]

  public init(
    conversion: Conversion, deployment: String, files: [String: FileEntry],
    leakage: [LeakageEntry]
  ) {
    self.conversion = conversion
    self.deployment = deployment
    self.files = files
    self.leakage = leakage
  }

  /// Its name in the folder of a conversion.
  public static let name = "manifest.json"
  /// The name of the dealer's own, which names the dealer's bundle alone and stays with it: the
  /// bundle's length tells how many bits each weight takes.
  public static let dealerName = "dealer.json"

  /// The name of the manifest that names the bundle `name`.
  static func name(naming name: String) -> String {
    name == DealerBundle.fileName ? dealerName : Manifest.name
  }

  private var members: [String: JSON] {
    conversion.members.merging([
      "deployment": .string(deployment), "files": FileEntry.json(files),
      "leakage": .array(leakage.map(\.json)),
    ]) { first, _ in first }
  }

  /// What it says, for reports.
  public var json: JSON { .object(members) }

  /// Writes the manifest, and its signature where there is a key.
  public func write(to path: String, key: PrivateKey?) throws(InputError) {
    try ManifestFile.write(.conversion, members, to: path, key: key)
  }

  /// Reads `path` strictly, after checking its signature where `trust` is given.
  public init(path: String, trust: TrustedKeys? = nil) throws(InputError) {
    var reader = try ManifestFile.read(path, .conversion, trust: trust)
    try self.init(&reader)
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    conversion = try Conversion(&reader)
    deployment = try reader.string("deployment")
    files = try FileEntry.list(&reader)
    guard files[DealerBundle.fileName] == nil || files.count == 1 else {
      throw reader.failure(
        "files", "\(DealerBundle.fileName) stands beside other files: its length tells of weights")
    }
    leakage = []
    for (index, element) in try reader.array("leakage").enumerated() {
      var entry = try JSONReader(
        element, source: reader.source, place: "leakage[\(index)]")
      leakage.append(
        LeakageEntry(
          operations: try entry.string("operations"), role: try entry.string("role"),
          learns: try entry.string("learns")))
      try entry.finish()
    }
    try reader.finish()
  }
}
