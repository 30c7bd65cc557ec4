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
  public let seeds: BatchSeeds
  public let conversion: Conversion
  public let shape: SessionShape

  /// Opens the batch in `folder`, or starts one with a fresh seed where there is none.
  ///
  /// - Throws: `InputError` when the batch there is of another conversion or session shape.
  public init(folder: String, conversion: Conversion, shape: SessionShape) throws(InputError) {
    let path = "\(folder)/dealer.batch"
    self.folder = folder
    self.conversion = conversion
    self.shape = shape
    for name in ["", "/party0", "/party1"] { try Folder.make(folder + name) }
    if !FileManager.default.fileExists(atPath: path) {
      try Batch.writeSeed(to: path, conversion: conversion, shape: shape)
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
    seeds = BatchSeeds(
      seed: Seed(bytes: try reader.read("seed", as: UInt8.self, shape: [Seed.byteCount])))
    guard seeds.identifier == header.batch else {
      throw InputError(path, place: "batch", "is not the identifier of this seed")
    }
  }

  /// Starts a batch with a fresh seed, unless another process has just started it.
  private static func writeSeed(to path: String, conversion: Conversion, shape: SessionShape)
    throws(InputError)
  {
    let seed = Seed.random()
    let header = CorrelationHeader(
      batch: BatchSeeds(seed: seed).identifier, session: 0, party: 0, shape: shape,
      conversion: conversion)
    // Two dealers may start one folder at once: the first link wins, and both use its seed.
    let draft = "\(path).\(getpid())"
    defer { unsafe unlink(draft) }
    let writer = try ContainerWriter(
      path: draft, kind: "batch", header: header.json,
      datasets: [
        DatasetDescription(name: "seed", elementType: .u8, shape: [Seed.byteCount], storage: .raw)
      ])
    try writer.write("seed", values: seed.bytes)
    _ = try writer.finish()
    guard unsafe link(draft, path) == 0 || errno == EEXIST else {
      throw InputError(path, "cannot be made: \(SystemError.message(errno))")
    }
    try FilePaths.synchronizeFolder(FilePaths.folder(of: path))
  }

  /// Where the file of `party` for `session` stands.
  public func path(party: Int, session: Int) -> String {
    Batch.path(folder: folder, party: party, session: session)
  }

  static func path(folder: String, party: Int, session: Int) -> String {
    "\(folder)/party\(party)/\(name(session: session))"
  }

  private static func name(session: Int) -> String {
    let digits = String(session)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".corr"
  }

  /// The header of the file of `party` for `session`.
  func header(session: Int, party: Int) -> CorrelationHeader {
    CorrelationHeader(
      batch: seeds.identifier, session: session, party: party, shape: shape,
      conversion: conversion)
  }

  /// Deals one session, unless both its files are there already and whole.
  ///
  /// The files of a session depend on the seed and its number alone: to replace a damaged one is to
  /// write again what it held.
  ///
  /// - Parameters:
  ///   - delivery: Who signs, and for whom the files are sealed. Signed and sealed files have
  ///     manifests; those of files that are there and have none are written now.
  ///   - report: Is told of a file that is replaced, and what is wrong with it.
  /// - Returns: whether the session was dealt now.
  public func deal(
    session: Int, program: SecureProgram, weights: [[UInt64]], delivery: Delivery = .plain,
    report: (InputError) -> Void = { _ in },
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(InputError) -> Bool {
    if try BatchFolder(path: folder).missing(of: [session], delivery: delivery).isEmpty {
      let kept = KeptSession(batch: self, session: session, program: program, delivery: delivery)
      guard let damage = try kept.damage() else {
        try kept.sign()
        return false
      }
      report(damage)
    }
    let files = try [0, 1].map { party throws(InputError) in
      try delivery.file(
        Batch.name(session: session), in: "\(folder)/party\(party)", party: party)
    }
    let streams = (0...1).map { seeds.streams(session: session, party: $0) }
    let writer = try SessionFileWriter(
      files: files, header: header(session: session, party: 0), program: program, streams: streams)
    try Dealer(program: program, weights: weights, batch: seeds).deal(
      session: session, shape: shape, into: writer
    ) { progress($0, program.nodes.count) }
    let digests = try writer.finish()
    for (party, file) in files.enumerated() {
      try publish(file, digests[party], session: session, party: party, delivery)
    }
    return true
  }

  /// Seals the finished file where it has a recipient, and writes its manifest where it needs one.
  private func publish(
    _ file: OutgoingFile, _ digest: [UInt8], session: Int, party: Int, _ delivery: Delivery
  ) throws(InputError) {
    guard delivery.needsManifests else { return }
    let manifest = SessionManifest(
      header: header(session: session, party: party), name: file.name,
      entry: try file.publish(digest: digest))
    try manifest.write(to: SessionManifest.path(of: file.path), key: delivery.key)
  }
}
