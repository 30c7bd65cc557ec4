// Where a conversion has one folder for each role, and what lies in them.

public import Bytes
public import Program
import Trust

/// The folders of a conversion that `lodge-model convert` has written: nobody is handed more than
/// their own.
public struct RoleFolders: Sendable {
  /// The folder that holds them all.
  public let path: String
  public let deployment: Deployment

  public init(path: String, deployment: Deployment) {
    self.path = path
    self.deployment = deployment
  }

  /// The folder of the owner, who keeps it: the converted model and the texts.
  public var owner: String { "\(path)/owner" }
  public var dealer: String { "\(path)/\(deployment.byRole.dealerFolder)" }
  /// The folder of a client, which is the user's where there is a provider.
  public var client: String { "\(path)/\(deployment.byRole.clientFolder)" }
  public func folder(ofParty party: Int) -> String {
    "\(path)/\(deployment.byRole.folder(ofParty: party))"
  }

  /// The folder below `folder`, a role's, that has the session files of this role.
  public static func correlations(in folder: String) -> String { "\(folder)/correlations" }
}

extension Deployment {
  /// The deployment whose folders this one has where each role has one of its own.
  var byRole: Deployment { self == .twoServer ? .blindDealer : self }
}

/// What one party needs of a conversion: its bundle and its sessions.
public struct PartyFiles: Sendable {
  public let party: Int
  /// Its bundle, sealed or not.
  public let bundle: String
  /// The folder with its session files.
  public let correlations: String

  private init(party: Int, bundle: String) {
    self.party = party
    self.bundle = bundle
    correlations = RoleFolders.correlations(in: FilePaths.folder(of: bundle))
  }

  /// The files of a server in `path`: its role's folder, or one that holds those of all roles.
  ///
  /// - Parameter party: Which party's; needed where the files of both are there.
  /// - Throws: `InputError` for a folder with no bundle of a server, or with those of both.
  public init(ofServerIn path: String, party: Int? = nil) throws(InputError) {
    let (found, users) = PartyFiles.find(in: path)
    guard let first = found.first else {
      guard let user = users.first else { throw PartyFiles.noBundle(in: path, of: "a party") }
      throw InputError(
        path, "holds a user's files, who is no server",
        hint: "the user runs 'lodge-client --provider HOST:PORT --folder "
          + "\(FilePaths.folder(of: user.bundle))'")
    }
    guard let party else {
      guard found.count == 1 else {
        throw InputError(
          path, "holds the files of both parties",
          hint: "give \(FilePaths.folder(of: first.bundle)), or say which with --party")
      }
      self = first
      return
    }
    guard let own = found.first(where: { $0.party == party }) else {
      throw InputError(
        path, "holds the files of party \(first.party), not of party \(party)",
        hint: "leave --party out, or give the other party's folder")
    }
    self = own
  }

  /// The files of a user in `path`: the user's folder, or one that holds those of all roles.
  public init(ofUserIn path: String) throws(InputError) {
    guard let user = PartyFiles.find(in: path).users.first else {
      throw PartyFiles.noBundle(in: path, of: "a user")
    }
    self = user
  }

  /// Throws where no session has been dealt for this party.
  public func checkSessions() throws(InputError) {
    guard !FilePaths.isFolder(correlations) else { return }
    throw InputError(
      correlations, "there are no sessions yet",
      hint: "'lodge-deal' makes them in the dealer's folder, or name theirs with --correlations")
  }

  private static func noBundle(in path: String, of whom: String) -> InputError {
    let nearest = nearestPathHint(to: path)
    return InputError(
      path, FilePaths.isFolder(path) ? "holds no bundle of \(whom)" : "is no folder",
      hint: nearest.isEmpty ? "'lodge-model convert' writes a folder for each role" : nearest)
  }

  /// The bundle of `party`, sealed or not, in the first of `folders` that has it.
  public static func bundle(ofParty party: Int, _ deployment: Deployment, in folders: [String])
    -> String?
  {
    let name = deployment.bundleName(ofParty: party)
    return folders.flatMap { ["\($0)/\(name)", "\($0)/\(name)\(AgeTool.suffix)"] }
      .first(where: FilePaths.exists)
  }

  /// Bundles in `path` or in the folders of roles below it.
  private static func find(in path: String) -> (servers: [PartyFiles], users: [PartyFiles]) {
    var servers: [PartyFiles] = []
    var users: [PartyFiles] = []
    for deployment in [Deployment.blindDealer, .providerUser] {
      for party in 0...1 {
        let folders = [path, "\(path)/\(deployment.folder(ofParty: party))"]
        guard let place = bundle(ofParty: party, deployment, in: folders) else { continue }
        let files = PartyFiles(party: party, bundle: place)
        if deployment == .providerUser, party == 1 {
          users.append(files)
        } else {
          servers.append(files)
        }
      }
    }
    return (servers, users)
  }
}
