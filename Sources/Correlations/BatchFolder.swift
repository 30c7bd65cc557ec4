// What is in a folder of dealt sessions, read from the headers alone.

public import Bytes
import Containers
import Foundation
public import Program
public import Sharing
import Trust

/// A folder with the sessions of a batch: `party0/`, `party1/`, and at the dealer `dealer.batch`.
public struct BatchFolder: Sendable {
  /// One session file.
  public struct Entry: Sendable {
    public let path: String
    public let header: CorrelationHeader
    public let byteCount: Int
  }

  public let path: String
  /// The folders of the session files, of party 0 and of party 1 where both are there.
  public let partyFolders: [String]

  /// - Parameter partyFolders: Where session files lie; `party0` and `party1` below `path` if nil.
  public init(path: String, partyFolders: [String]? = nil) {
    self.path = path
    self.partyFolders = partyFolders ?? BatchFolder.partyFolders(below: path)
  }

  static func partyFolders(below path: String) -> [String] {
    (0...1).map { "\(path)/party\($0)" }
  }

  /// The folders with session files: those of both parties, or at a party this folder itself.
  public func sessionFolders() throws(InputError) -> [String] {
    let folders = partyFolders.filter { FilePaths.isFolder($0) }
    if !folders.isEmpty { return folders }
    guard try !SessionFile.paths(in: path).isEmpty else {
      throw InputError(
        path, "holds no sessions", hint: "name a folder that lodge-deal --out has written")
    }
    return [path]
  }

  /// The identifier in the header of `dealer.batch`; nil where there is none.
  public func identifier() throws(InputError) -> [UInt8]? {
    let batch = "\(path)/dealer.batch"
    guard FilePaths.exists(batch) else { return nil }
    let reader = try ContainerReader(path: batch, kind: "batch", verifying: false)
    return try CorrelationHeader(reader.header, source: batch).batch
  }

  /// All session files whose header can be read, in the order of their folders and names; those of further
  /// batches in folders of their own among them, as parties serve them.
  ///
  /// - Parameter report: Is told of each of the others, and what is wrong with it.
  public func entries(report: (InputError) -> Void) throws(InputError) -> [Entry] {
    var result: [Entry] = []
    for folder in try sessionFolders() {
      let party = party(of: folder)
      for path in try SessionFile.paths(below: folder) {
        do throws(InputError) {
          let entry = try entry(path)
          if let party, entry.header.party != party {
            throw InputError(
              path, place: "party",
              "is the file of party \(entry.header.party), among those of party \(party)",
              hint: "give each party its own")
          }
          result.append(entry)
        } catch { report(error) }
      }
    }
    return result
  }

  /// Whose session files `folder` is for; nil where its name does not say.
  private func party(of folder: String) -> Int? {
    var name = FilePaths.lastComponent(of: FilePaths.withoutTrailingSlashes(folder))
    if name == FilePaths.lastComponent(of: RoleFolders.correlations(in: "")) {
      name = FilePaths.lastComponent(of: FilePaths.folder(of: folder))
    }
    switch name {
    case "party0", "provider": return 0
    case "party1", "user": return 1
    default: return partyFolders.count == 2 ? partyFolders.firstIndex(of: folder) : nil
    }
  }

  /// Those of `sessions` that are not there for both parties in the form that `delivery` asks for;
  /// a file whose header cannot be read is not there.
  ///
  /// - Throws: `InputError` when the file of another batch or session stands in the place of one:
  ///   to deal would destroy it (`foreign` tells which); and where one is there in the other form, sealed
  ///   or plain.
  public func missing(of sessions: some Sequence<Int>, delivery: Delivery = .plain)
    throws(InputError) -> [Int]
  {
    let identifier = try identifier()
    var result: [Int] = []
    for session in sessions {
      var count = 0
      for party in 0...1 {
        let plainPath = "\(partyFolders[party])/\(Batch.name(session: session))"
        try refuseOtherForm(of: plainPath, delivery)
        let path = plainPath + (delivery.recipients.isEmpty ? "" : AgeTool.suffix)
        // A sealed file is complete when its manifest is there.
        if !delivery.recipients.isEmpty, !FilePaths.exists(SessionManifest.path(of: path)) {
          continue
        }
        guard FilePaths.exists(path), let header = try? entry(path).header else { continue }
        guard header.batch == identifier, header.session == session, header.party == party else {
          // What a sealed file is can be read in its manifest alone.
          throw InputError(
            delivery.recipients.isEmpty ? path : SessionManifest.path(of: path), place: "batch",
            "belongs to another batch or session",
            hint: "move it away, or choose another --out folder or other --sessions")
        }
        count += 1
      }
      if count < 2 { result.append(session) }
    }
    return result
  }

  /// Those of `sessions` in whose place the file of another batch, session or party stands, and what is to
  /// be said of it.
  ///
  /// - Throws: The first of these errors where all are such, or the folder has no batch of its own whose
  ///   other sessions could be dealt; and where a session is there in the other form, sealed or plain.
  public func foreign(
    among sessions: [Int], delivery: Delivery = .plain
  ) throws(InputError) -> [Int: InputError] {
    var result: [Int: InputError] = [:]
    let hasBatch = try identifier() != nil
    for session in sessions {
      do throws(InputError) { _ = try missing(of: [session], delivery: delivery) } catch {
        guard error.place == "batch", hasBatch else { throw error }
        result[session] = error
      }
    }
    if let session = result.keys.min(), let error = result[session], result.count == sessions.count
    {
      throw error
    }
    return result
  }

  /// A session in plaintext beside the same one sealed would make the seal worthless.
  private func refuseOtherForm(of path: String, _ delivery: Delivery) throws(InputError) {
    if delivery.recipients.isEmpty, FilePaths.exists(path + AgeTool.suffix) {
      throw InputError(
        path + AgeTool.suffix, "is sealed, and would get its plaintext beside it",
        hint: "give --recipient0 and --recipient1 as before, or choose another --out folder")
    }
    if !delivery.recipients.isEmpty, FilePaths.exists(path) {
      throw InputError(
        path, "is here in plaintext, and would stay beside the sealed file",
        hint: "remove it, or choose another --out folder")
    }
  }

  private func entry(_ path: String) throws(InputError) -> Entry {
    Entry(
      path: path, header: try SessionFile(path: path, trust: nil).header,
      byteCount: try FilePaths.byteCount(of: path))
  }
}

extension SecureProgram {
  /// Bytes of the files of one session for both parties, containers included; at most a few
  /// kilobytes more than they take.
  public func sessionByteCount(
    _ shape: SessionShape, deployment: Deployment = .twoServer, keys: KeyCopies = .both
  ) -> Int {
    let cost = correlationCost(of: shape, deployment: deployment, keys: keys)
    return (0...1).reduce(0) { sum, party in
      let datasetCount = CorrelationLayout.datasets(
        self, shape, party: party, deployment: deployment, keys: keys
      ).count
      return sum + cost.byteCount(party: party) + 8192 + 512 * datasetCount
    }
  }
}
