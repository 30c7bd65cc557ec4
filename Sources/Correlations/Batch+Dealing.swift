// Deals sessions of a batch to their files, a group at a time.

public import Bytes
import Containers
public import Models
public import Program
public import Sharing

extension Batch {
  /// Deals `sessions`, except those of which both files are there already and whole; as many at a
  /// time as `memory` allows.
  ///
  /// The files of a session depend on the seed and its number alone: to replace a damaged one is to
  /// write again what it held. While a group of sessions is dealt, the files of the group before
  /// are finished; after an error, all files of a group are there and whole, or gone.
  ///
  /// - Parameters:
  ///   - delivery: Who signs, and for whom the files are sealed. Signed and sealed files have
  ///     manifests; those of files that are there and have none are written now.
  ///   - report: Is told of a session that is replaced, and what is wrong with a file of it.
  ///   - progress: Is told how many more operations are done, each counted for every session.
  /// - Returns: those sessions that were dealt now.
  public func deal(
    sessions: some Sequence<Int>, program: SecureProgram, weights: some MultipliedWeights,
    delivery: Delivery = .plain, memory: MemoryBudget = Dealer.defaultMemory,
    report: (Int, InputError) -> Void = { _, _ in }, progress: (Int) -> Void = { _ in }
  ) throws(InputError) -> [Int] {
    let dealer = Dealer(
      program: program, deployment: conversion.deployment, weights: weights, batch: seeds,
      memory: memory)
    // The plaintext of files that are sealed in memory takes as much of it as they have bytes.
    let isInMemory = !delivery.recipients.isEmpty && delivery.scratch == .memory
    let groupCount = isInMemory ? 1 : try dealer.sessionsPerGroup(shape)
    var dealt: [Int] = []
    var group: [Int] = []
    var finishing: BackgroundTask?
    func dealGroup() throws(InputError) {
      let files = try group.map { session throws(InputError) in
        try SessionFiles(self, session: session, program: program, delivery: delivery)
      }
      try dealer.deal(sessions: files.map { ($0.session, $0.writer) }, shape: shape) {
        progress(group.count)
      }
      try finishing?.wait()
      finishing = BackgroundTask { () throws(InputError) in
        try ConcurrentTasks.run(files.count) { (index) throws(InputError) in
          try files[index].finish()
        }
      }
      if isInMemory { try finishing?.wait() }
      dealt += group
      group = []
    }
    do throws(InputError) {
      for session in sessions {
        if try keeps(session, program, delivery, report) {
          progress(program.nodes.count)
        } else {
          group.append(session)
        }
        if group.count == groupCount { try dealGroup() }
      }
      if !group.isEmpty { try dealGroup() }
    } catch {
      // The first error is told; what was dealt before it stays if it can be finished.
      try? finishing?.wait()
      throw error
    }
    try finishing?.wait()
    return dealt
  }

  /// Deals one session, unless both its files are there already and whole.
  ///
  /// - Returns: whether the session was dealt now.
  public func deal(
    session: Int, program: SecureProgram, weights: some MultipliedWeights,
    delivery: Delivery = .plain, report: (InputError) -> Void = { _ in }
  ) throws(InputError) -> Bool {
    try !deal(
      sessions: [session], program: program, weights: weights, delivery: delivery,
      report: { report($1) }
    ).isEmpty
  }

  /// Whether both files of a session are there and whole; they are then signed where that is asked
  /// for.
  private func keeps(
    _ session: Int, _ program: SecureProgram, _ delivery: Delivery,
    _ report: (Int, InputError) -> Void
  ) throws(InputError) -> Bool {
    let own = BatchFolder(path: folder, partyFolders: partyFolders)
    guard try own.missing(of: [session], delivery: delivery).isEmpty else { return false }
    let kept = KeptSession(batch: self, session: session, program: program, delivery: delivery)
    if let damage = try kept.damage() {
      report(session, damage)
      return false
    }
    try kept.sign()
    return true
  }
}

/// Both files of a session that is being dealt; unless they are finished, they go with this value.
private struct SessionFiles: Sendable {
  let session: Int
  let writer: SessionFileWriter
  private let batch: Batch
  private let delivery: Delivery
  private let files: [OutgoingFile]

  init(_ batch: Batch, session: Int, program: SecureProgram, delivery: Delivery)
    throws(InputError)
  {
    self.session = session
    self.batch = batch
    self.delivery = delivery
    files = try [0, 1].map { party throws(InputError) in
      try delivery.file(
        Batch.name(session: session), in: batch.partyFolders[party], party: party)
    }
    writer = try SessionFileWriter(
      files: files, header: batch.header(session: session, party: 0), program: program,
      streams: (0...1).map { batch.seeds.streams(session: session, party: $0) })
  }

  /// Gives the files their names, seals them where they have a recipient, and writes manifests
  /// where they need them.
  func finish() throws(InputError) {
    let digests = try writer.finish()
    guard delivery.needsManifests else { return }
    for (party, file) in files.enumerated() {
      let manifest = SessionManifest(
        header: batch.header(session: session, party: party), name: file.name,
        entry: try file.publish(digest: digests[party]))
      try manifest.write(to: SessionManifest.path(of: file.path), key: delivery.key)
    }
  }
}
