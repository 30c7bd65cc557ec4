// The commands that come after a conversion, role by role.

public import Arguments
import Bytes
public import Correlations
public import Models
public import Program
public import Sharing
import Trust

/// What each role of a conversion runs, with the paths and keys that are known.
///
/// Addresses are those of one machine, on which everything can be tried.
public struct NextSteps: Sendable {
  /// The keys that files are signed and sealed with, as they were given.
  public struct Keys: Sendable {
    /// The public key that the owner's files are signed with: its path, or its line.
    public var owner: String?
    /// Path of the private key that whoever deals signs with.
    public var dealer: String?
    /// The public keys that the files of party 0 and of party 1 are sealed for.
    public var recipients: [String?]
    /// The public key of the user to whom alone sessions are served.
    public var user: String?

    public init(
      owner: String? = nil, dealer: String? = nil, recipients: [String?] = [nil, nil],
      user: String? = nil
    ) {
      self.owner = owner
      self.dealer = dealer
      self.recipients = recipients
      self.user = user
    }

    /// The keys of a conversion that its owner signs with the private key at `sign`: a blind dealer has a
    /// key of its own.
    public init(ofOwner sign: String?, _ deployment: Deployment, recipients: [String?]) {
      self.init(
        owner: sign.map { "\($0).pub" }, dealer: sign.map { deployment.dealerKey(owner: $0) },
        recipients: recipients)
    }

    /// Options of whoever deals.
    var delivery: [String] {
      (dealer.map { ["--sign", $0] } ?? [])
        + recipients.enumerated().flatMap { party, key in
          key.map { ["--recipient\(party)", $0] } ?? []
        }
    }

    /// Whose signatures count: nobody's where a bundle or a session has none.
    private var trust: [String] {
      guard let owner, let dealer else { return [] }
      let dealt = "\(dealer).pub"
      return ["--trust", owner == dealt ? owner : "\(owner),\(dealt)"]
    }

    /// Options by which `party` opens its files and, of a provider and its user, both show who they are:
    /// without that a key opens nothing there.
    func access(ofParty party: Int, hasProvider: Bool, isSealed: Bool) -> [String] {
      let user = user ?? recipients[1]
      guard isSealed || recipients[party] != nil || (hasProvider && user != nil) else {
        return trust
      }
      let own = party == 1 && hasProvider ? user : recipients[party]
      let keys = trust + ["--identity", NextSteps.privateKey(of: own)]
      guard hasProvider else { return keys }
      return keys
        + (party == 0
          ? ["--client-keys", user ?? "USER-KEY.pub"]
          : ["--provider-key", recipients[0] ?? "PROVIDER-KEY.pub"])
    }
  }

  /// Where the private key to `publicKey` is, by the names that `lodge-party keygen` gives.
  public static func privateKey(of publicKey: String?) -> String {
    guard let publicKey, publicKey.hasSuffix(".pub") else { return "PRIVATE-KEY" }
    return String(publicKey.dropLast(4))
  }

  private let roles: RoleFolders
  private let session: SessionShape
  private let output: ModelOutput
  private let keys: Keys
  private let hasTokenizer: Bool

  /// - Parameter hasTokenizer: Whether the client's folder has one, so that it can ask in text.
  public init(
    _ roles: RoleFolders, session: SessionShape, output: ModelOutput, keys: Keys = Keys(),
    hasTokenizer: Bool = true
  ) {
    self.hasTokenizer = hasTokenizer
    self.roles = roles
    self.session = session
    self.output = output
    self.keys = keys
  }

  private static let addresses = ["127.0.0.1:9000", "127.0.0.1:9001"]

  private var hasProvider: Bool { roles.deployment == .providerUser }

  /// Deals sessions, on the machine of whoever deals; makes the key of a blind dealer first.
  public var dealing: [ShellCommand] { NextSteps.keygen(keys.dealer, roles.deployment) + [deal] }

  /// Makes the key that a blind dealer signs with, where it is not there.
  public static func keygen(_ dealer: String?, _ deployment: Deployment) -> [ShellCommand] {
    guard let dealer, deployment.isDealerBlind, !FilePaths.exists(dealer) else { return [] }
    return [ShellCommand(["lodge-party", "keygen", dealer])]
  }

  private var deal: ShellCommand {
    let new = session.newCapacity > 0 ? ["--new", "\(session.newCapacity)"] : []
    return ShellCommand(
      ["lodge-deal", roles.deployment.isDealerBlind ? roles.dealer : roles.path]
        + ["--sessions", "4", "--prompt", "\(session.promptCapacity)"] + new + keys.delivery)
  }

  /// Starts the parties, one command each, or the provider alone.
  public var serving: [ShellCommand] {
    (0...1).dropLast(hasProvider ? 1 : 0).map { party in
      let peer = hasProvider ? [] : ["--peer", NextSteps.addresses[1 - party]]
      return ShellCommand(
        ["lodge-party", roles.folder(ofParty: party), "--listen", NextSteps.addresses[party]]
          + peer + access(ofParty: party))
    }
  }

  private func access(ofParty party: Int) -> [String] {
    let bundle = PartyFiles.bundle(
      ofParty: party, roles.deployment, in: [roles.folder(ofParty: party)])
    return keys.access(
      ofParty: party, hasProvider: hasProvider,
      isSealed: bundle?.hasSuffix(AgeTool.suffix) ?? false)
  }

  /// Asks a question in text, as whoever has the client's or the user's folder can.
  public var asking: ShellCommand {
    let servers =
      hasProvider
      ? ["--provider", NextSteps.addresses[0]]
      : ["--party0", NextSteps.addresses[0], "--party1", NextSteps.addresses[1]]
    // A client that sends one-hot rows needs no files.
    let folder =
      hasTokenizer || FilePaths.isFolder(roles.client) ? ["--folder", roles.client] : []
    return NextSteps.asking(
      folder + servers,
      question: NextSteps.question(hasTokenizer: hasTokenizer),
      output: output, newCapacity: session.newCapacity,
      options: hasProvider ? access(ofParty: 1) : [])
  }

  /// What stands for a question: text takes a tokenizer.
  public static func question(hasTokenizer: Bool) -> [String] {
    hasTokenizer ? ["Your question"] : ["--tokens", "prompt.json"]
  }

  /// Asks the servers that `whom` names, in sessions for at most `newCapacity` new tokens.
  public static func asking(
    _ whom: [String], question: [String], output: ModelOutput,
    newCapacity: Int, options: [String] = []
  ) -> ShellCommand {
    let new = newCapacity > 0 ? ["--new", "\(newCapacity)"] : []
    let out =
      switch output {
      case .embedding: ["--out", "embedding.npy"]
      case .states: ["--out", "states.npy"]
      case .logits, .tokenLogits, .tokenClasses, .classes: [String]()
      }
    return ShellCommand(["lodge-client"] + whom + question + new + out + options)
  }

  /// What follows when sessions lie in `batch`, dealt from the dealer's bundle in `folder`.
  public static func afterDealing(
    _ deployment: Deployment, folder: String, into batch: BatchFolder, session: SessionShape,
    output: ModelOutput, keys: Keys
  ) -> [ShellCommand] {
    let roles = RoleFolders(path: FilePaths.folder(of: folder), deployment: deployment)
    let steps = NextSteps(
      roles, session: session, output: output, keys: keys,
      hasTokenizer: FilePaths.isFolder("\(roles.client)/tokenizer"))
    let places = (0...1).map { RoleFolders.correlations(in: roles.folder(ofParty: $0)) }
    if batch.partyFolders == places { return steps.serving + [steps.asking] }
    // The bundles may be anywhere: of one folder they are known, of another they are the parties'.
    return (0...1).dropLast(steps.hasProvider ? 1 : 0).map { party in
      let bundle = PartyFiles.bundle(
        ofParty: party, deployment, in: [folder, roles.folder(ofParty: party)])
      let peer = steps.hasProvider ? [] : ["--peer", addresses[1 - party]]
      return ShellCommand(
        ["lodge-party", "--party", "\(party)", "--bundle"]
          + [bundle ?? deployment.bundleName(ofParty: party)]
          + ["--correlations", batch.partyFolders[party], "--listen", addresses[party]] + peer
          + keys.access(
            ofParty: party, hasProvider: steps.hasProvider,
            isSealed: bundle?.hasSuffix(AgeTool.suffix) ?? false))
    }
  }

  /// README.txt of a conversion: what lies where, who gets what, and what they run.
  ///
  /// - Parameter shown: What a party sees of its computation, in sentences.
  public func readme(shown: [String]) -> String {
    let names = (0...1).map { roles.deployment.role(ofParty: $0) }
    var parts = [
      """
      A model, prepared by Lodge for two-party inference (\(roles.deployment.rawValue)).

      Give every role its own folder, and nothing else:

        \(roles.owner)
          stays with the owner: the converted model, its texts and its validation
        \(roles.dealer)
          \(roles.deployment.isDealerBlind
            ? "goes to whoever deals, who works with neither \(names[0]) nor \(names[1])"
            : "stays with the owner, who deals: it holds the plaintext weights")
        \(roles.folder(ofParty: 0))
          goes to \(names[0])\(hasProvider ? ", who is the owner and may keep it here" : "'s server")
        \(roles.folder(ofParty: 1))
          goes to \(names[1])\(hasProvider ? "" : "'s server")
      """
    ]
    if !hasProvider {
      parts.append(
        """
          \(roles.client)
            goes to every client
        """)
    }
    parts.append(
      """

      1. Whoever deals makes sessions; one answers one prompt:

      \(dealing.map { "     \($0.text)" }.joined(separator: "\n"))

         They go into the folders of both parties where these lie beside the
         dealer's, and into correlations/ in the dealer's folder otherwise:
         correlations/party0 in there becomes correlations/ in the folder of
         \(names[0]), correlations/party1 that in the folder of \(names[1]).

      2. Servers start, each in a terminal of its own:

      \(serving.map { "     \($0.text)" }.joined(separator: "\n"))

      3. \(hasProvider ? "The user" : "A client") asks:

           \(asking.text)

      These addresses are of one machine. Beyond it everybody has a key of
      'lodge-party keygen' and is told the public keys of the others: see
      --identity, --peer-key and --client-keys of 'lodge-party --help', and the
      --...-key options of 'lodge-client --help'.
      """)
    if !shown.isEmpty {
      parts.append(
        "\nWhat this program shows:\n\n" + shown.map { "  \($0)" }.joined(separator: "\n"))
    }
    return parts.joined(separator: "\n") + "\n"
  }
}

extension Deployment {
  /// The private key with which whoever deals signs where the owner has the one at `owner`: another, which
  /// the owner never has, where the dealer is somebody else.
  public func dealerKey(owner: String) -> String { isDealerBlind ? "dealer.key" : owner }
}
