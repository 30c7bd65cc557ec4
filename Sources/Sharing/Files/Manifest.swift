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

  /// What the operations of `program` reveal in `deployment`.
  public static func report(_ program: SecureProgram, _ deployment: Deployment) -> [LeakageEntry] {
    let isWithUser = deployment == .providerUser
    let output =
      program.kind.isDecoder
      ? "the logits of the last position of each step" : "the last hidden states"
    let revealed = revealed(program, deployment)
    let isPermuted = program.nodes.contains {
      if case .permuted = $0.operation { return true }
      return false
    }
    var entries = [
      LeakageEntry(
        operations: "all", role: "each party",
        learns: "nothing but uniformly masked values"
          + (revealed.isEmpty ? "" : " and what is told of single operations")
          + ", while the other party and the dealer do not collude with it"),
      LeakageEntry(
        operations: "all", role: "each party",
        learns: "the program: architecture, shapes, scales and calibrated ranges; lengths of "
          + "prompts and answers, when they are asked, and with --draft how many guesses of each "
          + "step came true"),
      LeakageEntry(
        operations: "output", role: isWithUser ? "user" : "client", learns: output),
      LeakageEntry(
        operations: "dealing", role: "dealer",
        learns: deployment.isDealerBlind
          ? "the program; weights are masked for it, and it sees neither input nor output"
          : "the weights (the owner is the dealer); never an input or an output"),
    ]
    if isWithUser {
      entries += [
        LeakageEntry(
          operations: "all", role: "provider",
          learns: "the weights, which are its own; neither prompt, tokens nor answer"),
        LeakageEntry(
          operations: "all", role: "user who does not follow the protocol",
          learns: "what chosen changes of intermediate values do to the output, and so the output "
            + "matrix from a few answers: "
            + (isPermuted
              ? "weights are protected from no user who asks often, since it is shown permuted values"
              : "weights are protected from a user who follows the protocol")),
        LeakageEntry(
          operations: "all", role: "dealer together with the user", learns: "the weights"),
        LeakageEntry(
          operations: "all", role: "dealer together with the provider",
          learns: "prompts and answers"),
      ]
    } else if deployment == .blindDealer {
      entries.append(
        LeakageEntry(
          operations: "all", role: "dealer together with either party",
          learns: "the weights, and what that party's sessions compute"))
    }
    entries += revealed
    if program.clientInput == .embedding {
      entries.append(
        LeakageEntry(
          operations: "embedding", role: "client",
          learns: "the embedding, position and segment tables (recipe option embedding: client)"))
    }
    return entries
  }

  /// What a party sees in the clear: one entry for each permuted or revealing operation that all
  /// layers share.
  public static func revealed(
    _ program: SecureProgram, _ deployment: Deployment = .twoServer
  ) -> [LeakageEntry] {
    var entries: [LeakageEntry] = []
    for node in program.nodes {
      let operations = node.label.split(separator: ".")
        .map { Int($0) == nil ? String($0) : "*" }.joined(separator: ".")
      if case .reveal = node.operation {
        let entry = LeakageEntry(
          operations: operations, role: "each party",
          learns: program.skipsHeads(gates: node.outputs.lowerBound)
            ? "which of the layer's heads, by the model's numbers, run at each position, which tells "
              + "tokens to who knows other prompts, or the weights or a public base of them"
            : "which of the layer's numbered blocks of neurons run at each position: who knows other "
              + "prompts, or the weights or a public base of them, reads half of the tokens after a "
              + "few sessions")
        if !entries.contains(entry) { entries.append(entry) }
      }
      guard case .permuted(let x, let function) = node.operation else { continue }
      let shape = program.values[x].shape
      let ranges =
        function.permutesWholeText(shape, kind: program.kind)
        ? "within the whole text"
        : function.permutationsPerRow(shape) == 1
          ? "within each row"
          : shape.width == nil ? "within each head of each row" : "within each group of each row"
      let entry = LeakageEntry(
        operations: operations, role: deployment.role(ofParty: 1),
        learns: "the numbers that \(function.rule.name) is taken of"
          + (function.factor == nil ? "" : " (not those that it is multiplied with)")
          + ", in random order \(ranges): "
          + consequence(of: function.rule))
      if !entries.contains(entry) { entries.append(entry) }
    }
    return entries
  }

  /// The same in sentences, a line each; empty where there is nothing.
  public static func sentences(_ program: SecureProgram, _ deployment: Deployment) -> [String] {
    revealed(program, deployment).map { "\($0.role) sees at \($0.operations) \($0.learns)." }
  }

  /// What was recovered from such numbers in tests of ours (`WeightRecoveryTests`, `TokenMatchingTests`).
  private static func consequence(of rule: PermutedFunction.Rule) -> String {
    switch rule {
    case .layerNorm, .rmsNorm:
      "sorted rows tell tokens to whoever has the model, and many answers to one prompt the weights "
        + "between here and the next permuted activation"
    case .relu, .gelu, .geluTanh, .silu, .tanh, .sigmoid:
      "sorted rows tell tokens to whoever has the model, and many answers to one prompt what the "
        + "weights before span"
    case .exponential, .softmax:
      "they depend on all tokens of the row and on the weights of queries and keys"
    }
  }

  public var json: JSON {
    ["operations": .string(operations), "role": .string(role), "learns": .string(learns)]
  }
}

/// Names the files of one conversion.
public struct Manifest: Equatable, Sendable {
  public var conversion: Conversion
  /// By file name, without the ending of sealed files.
  public var files: [String: FileEntry]
  public var leakage: [LeakageEntry]

  public init(
    conversion: Conversion, files: [String: FileEntry], leakage: [LeakageEntry]
  ) {
    self.conversion = conversion
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

  /// Who has signed the manifest that names the bundle at `path`, sealed or not: to be told, and not to be
  /// trusted. Nil where nobody has, or it cannot be read.
  public static func signer(ofBundle path: String) -> PublicKey? {
    var bundle = FilePaths.lastComponent(of: path)
    if bundle.hasSuffix(AgeTool.suffix) { bundle.removeLast(AgeTool.suffix.count) }
    return try? ManifestFile.signer(of: "\(FilePaths.folder(of: path))/\(name(naming: bundle))")
  }

  private var members: [String: JSON] {
    conversion.members.merging([
      "deployment": .string(conversion.deployment.rawValue), "files": FileEntry.json(files),
      "leakage": .array(leakage.map(\.json)),
    ]) { $1 }
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
    conversion = try Conversion(&reader, requiresDeployment: true)
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
