// Sessions in the folders of their roles, where a conversion has one for each.

public import Bytes
import Program
public import Sharing

extension BatchFolder {
  /// Where sessions go that a dealer deals from its role's folder: into the folders of the parties
  /// beside it or, where these are elsewhere, into its own; nil for a dealer without such a folder.
  ///
  /// - Throws: `InputError` where a folder beside the dealer's is of another conversion.
  public static func ofRoles(besideDealer dealer: DealerBundle) throws(InputError) -> BatchFolder? {
    guard let roles = roles(around: dealer) else { return nil }
    let own = RoleFolders.correlations(in: roles.dealer)
    let folders = (0...1).map { roles.folder(ofParty: $0) }
    let manifests = folders.map { "\($0)/\(Manifest.name)" }
    guard manifests.allSatisfy(FilePaths.exists) else { return BatchFolder(path: own) }
    for path in manifests {
      let found = try Manifest(path: path).conversion
      guard found == dealer.conversion else {
        throw InputError(
          path, place: "conversion",
          "\(found.identifier.hexadecimal) is another than that of \(dealer.path), "
            + dealer.conversion.identifier.hexadecimal,
          hint: "keep the folders of one conversion together, or deal elsewhere with --out CORR")
      }
    }
    return BatchFolder(path: own, partyFolders: folders.map(RoleFolders.correlations))
  }

  /// The folders of the roles of which `dealer` has one: `dealer/` and those beside it.
  private static func roles(around dealer: DealerBundle) -> RoleFolders? {
    func folders(_ own: String) -> RoleFolders? {
      let roles = RoleFolders(
        path: FilePaths.folder(of: own), deployment: dealer.conversion.deployment)
      return FilePaths.lastComponent(of: own) == FilePaths.lastComponent(of: roles.dealer)
        ? roles : nil
    }
    let own = FilePaths.folder(of: dealer.path)
    return folders(own) ?? FilePaths.resolved(own).flatMap(folders)
  }

  /// The sessions at `path`: those of a batch or of one party, of a role's folder, or of a folder
  /// with those of all roles.
  public init(anyOf path: String) {
    let below = RoleFolders.correlations(in: path)
    let names = Deployment.allCases.flatMap { deployment in
      (0...1).map { RoleFolders(path: path, deployment: deployment).folder(ofParty: $0) }
    }
    let folders = names.enumerated().filter { !names[..<$0].contains($1) }.map {
      RoleFolders.correlations(in: $1)
    }.filter(FilePaths.isFolder)
    if !folders.isEmpty {
      let dealer = RoleFolders(path: path, deployment: .twoServer).dealer
      self.init(path: RoleFolders.correlations(in: dealer), partyFolders: folders)
    } else {
      self.init(path: FilePaths.isFolder(below) ? below : path)
    }
  }
}
