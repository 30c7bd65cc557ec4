// A folder of dealt sessions: the dealer's seed and one file a party and session.

public import Bytes
import Containers
import Foundation
import Models
public import Program
import Randomness
public import Sharing
import Trust

/// A batch on disk: `dealer.batch`, `party0/<session>.corr`, `party1/<session>.corr`.
///
/// dealer.batch holds the seed of everything in the batch and stays with the dealer.
public struct Batch: Sendable {
  public let folder: String
  /// The folders of the session files of party 0 and of party 1.
  let partyFolders: [String]
  public let seeds: BatchSeeds
  public let conversion: Conversion
  public let shape: SessionShape
  /// The public key of the user that the sessions are for, where one is named.
  public let user: [UInt8]?
  /// How many of two servers' files have the keys.
  public let keys: KeyCopies

  /// Opens the batch in `folder`, or starts one with a fresh seed where there is none.
  ///
  /// - Parameter partyFolders: Where session files go; `party0` and `party1` below `folder` if nil.
  /// - Throws: `InputError` when the batch there is of another conversion or session shape.
  public init(
    folder: String, partyFolders: [String]? = nil, conversion: Conversion, shape: SessionShape,
    user: [UInt8]? = nil, keys: KeyCopies = .both
  ) throws(InputError) {
    let path = "\(folder)/dealer.batch"
    self.folder = folder
    self.partyFolders = partyFolders ?? BatchFolder.partyFolders(below: folder)
    self.conversion = conversion
    self.shape = shape
    self.user = user
    self.keys = keys
    for path in [folder] + self.partyFolders { try Folder.make(path) }
    if !FileManager.default.fileExists(atPath: path) {
      try Batch.writeSeed(
        to: path, conversion: conversion, shape: shape, user: user, keys: keys)
    }
    let reader = try ContainerReader(path: path, kind: "batch", verifying: true)
    let header = try CorrelationHeader(reader.header, source: path)
    guard header.conversion.programDigest == conversion.programDigest else {
      throw InputError(
        path, place: "programDigest", "the batch in this folder is of another program",
        hint: "choose another --out folder")
    }
    guard header.conversion == conversion else {
      throw InputError(
        path, place: "conversion", "the batch in this folder is of another conversion",
        hint: "choose another --out folder")
    }
    guard header.shape == shape else {
      throw InputError(
        path, place: "promptCapacity",
        "the batch in this folder has sessions of \(header.shape.promptCapacity) prompt and "
          + "\(header.shape.newCapacity) new tokens", hint: "choose another --out folder")
    }
    guard header.user == user else {
      throw InputError(
        path, place: "user", "the batch in this folder is for another user",
        hint: "give the same --user, or choose another --out folder")
    }
    guard header.keys == keys else {
      throw InputError(
        path, place: "keys",
        "the batch in this folder has the keys of a session in \(header.keys.inFiles)",
        hint: "give --keys \(header.keys.rawValue), or choose another --out folder")
    }
    seeds = BatchSeeds(
      seed: Seed(bytes: try reader.read("seed", as: UInt8.self, shape: [Seed.byteCount])))
    guard seeds.identifier == header.batch else {
      throw InputError(path, place: "batch", "is not the identifier of this seed")
    }
  }

  /// Starts a batch with a fresh seed, unless another process has just started it.
  private static func writeSeed(
    to path: String, conversion: Conversion, shape: SessionShape, user: [UInt8]?, keys: KeyCopies
  ) throws(InputError) {
    let seed = Seed.random()
    let header = CorrelationHeader(
      batch: BatchSeeds(seed: seed).identifier, session: 0, party: 0, shape: shape,
      conversion: conversion, user: user, keys: keys)
    // Two dealers may start one folder at once: one writes, and both use its seed.
    for attempt in 1... {
      do throws(InputError) {
        let writer = try ContainerWriter(
          path: path, kind: "batch", header: header.json,
          datasets: [
            DatasetDescription(
              name: "seed", elementType: .u8, shape: [Seed.byteCount], storage: .raw)
          ])
        // Only who has the partial file gives it its name: what is not here now comes from here.
        if FilePaths.exists(path) { return }
        try writer.write("seed", values: seed.bytes)
        _ = try writer.finish()
        return
      } catch {
        if FilePaths.exists(path) { return }
        guard PartialFile.isInUse(error), attempt < 200 else { throw error }
        usleep(50_000)
      }
    }
  }

  /// Where the file of `party` for `session` stands.
  public func path(party: Int, session: Int) -> String {
    "\(partyFolders[party])/\(Batch.name(session: session))"
  }

  static func name(session: Int) -> String {
    let digits = String(session)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".corr"
  }

  /// The header of the file of `party` for `session`.
  func header(session: Int, party: Int) -> CorrelationHeader {
    CorrelationHeader(
      batch: seeds.identifier, session: session, party: party, shape: shape,
      conversion: conversion, user: user, keys: keys)
  }
}

extension KeyCopies {
  fileprivate var inFiles: String {
    switch self {
    case .both: "both files"
    case .once: "one file"
    }
  }
}
