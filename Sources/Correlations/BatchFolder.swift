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
      for path in try SessionFile.paths(below: folder) {
        do throws(InputError) { result.append(try entry(path)) } catch { report(error) }
      }
    }
    return result
  }

  /// Those of `sessions` that are not there for both parties in the form that `delivery` asks for;
  /// a file whose header cannot be read is not there.
  ///
  /// - Throws: `InputError` when the file of another batch or session stands in the place of one:
  ///   to deal would destroy it; and where one is there in the other form, sealed or plain.
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
          throw InputError(
            path, place: "batch", "belongs to another batch or session",
            hint: "choose another --out folder, or other --sessions")
        }
        count += 1
      }
      if count < 2 { result.append(session) }
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
