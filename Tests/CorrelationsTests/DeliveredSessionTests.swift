// Signed and sealed sessions: dealt, kept, listed and opened.

import Bytes
import Containers
import Correlations
import Foundation
import Glibc
import OnlineRuntime
import Program
import Sharing
import Synchronization
import TestSupport
import Testing
import Trust

@Suite(.needsAge) struct DeliveredSessionTests {
  private let fixture: DealerFixture
  private let dealer = PrivateKey.random()
  private let keys: [String]
  private let sealed: Delivery
  private let signed: Delivery

  init() throws {
    fixture = try DealerFixture()
    keys = (0...1).map { [files = fixture.files] in files.scratch.file("party\($0).key") }
    for key in keys { try PrivateKey.random().write(to: key, comment: "") }
    let recipients = try keys.map { try AgeRecipient(textOrPath: $0 + ".pub") }
    sealed = Delivery(key: dealer, recipients: recipients)
    signed = Delivery(key: dealer)
  }

  private var trust: TrustedKeys { TrustedKeys([dealer.publicKey]) }

  private func deal(_ batch: Batch, _ delivery: Delivery, session: Int = 0) throws -> Bool {
    try batch.deal(
      session: session, program: fixture.bundle.program, weights: fixture.bundle,
      delivery: delivery)
  }

  private func names(_ batch: Batch, party: Int) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(batch.folder)/party\(party)").sorted()
  }

  /// What a plain session of the same batch holds, in memory.
  private func open(_ batch: Batch, party: Int, session: Int = 0) throws -> CorrelationFile {
    let path = batch.path(party: party, session: session) + AgeTool.suffix
    return try CorrelationFile(
      SessionFile(path: path, trust: trust),
      access: FileAccess(trust: trust, identity: keys[party]))
  }

  @Test func sealedSessionsHoldWhatPlainOnesHold() throws {
    let batch = try fixture.batch()
    #expect(try deal(batch, sealed))
    for party in 0...1 {
      #expect(
        try names(batch, party: party) == ["000000.corr.age", "000000.json", "000000.json.sig"])
    }
    let opened = try (0...1).map { try open(batch, party: $0) }
    // Plaintext does not come to lie beside it.
    #expect(inputError { _ = try deal(batch, .plain) }?.cause.contains("is sealed") == true)
    // Dealt in plain elsewhere, the same bytes come out.
    let other = fixture.folder("plain")
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: "\(batch.folder)/dealer.batch", toPath: "\(other)/dealer.batch")
    let plainBatch = try fixture.batch("plain")
    #expect(try deal(plainBatch, .plain))
    #expect(inputError { _ = try deal(plainBatch, sealed) }?.cause.contains("plaintext") == true)
    for party in 0...1 {
      let path = plainBatch.path(party: party, session: 0)
      let plain = try CorrelationFile(path: path, verifying: true)
      #expect(plain.header == opened[party].header)
      #expect(try plain.streams().seed == opened[party].streams().seed)
      let sealedPath = batch.path(party: party, session: 0) + AgeTool.suffix
      let manifest = try SessionManifest(path: SessionManifest.path(of: sealedPath), trust: trust)
      #expect(try FileDigest(path: path) == manifest.entry.file)
      #expect(try FileDigest(path: sealedPath) == manifest.entry.sealed)
      try opened[party].check(
        party: party, conversion: fixture.bundle.conversion, program: fixture.bundle.program)
    }
  }

  @Test func dealtSessionsAreKept() throws {
    let batch = try fixture.batch()
    #expect(try deal(batch, sealed))
    let path = batch.path(party: 1, session: 0) + AgeTool.suffix
    let before = try Data(contentsOf: URL(filePath: path))
    #expect(try !deal(batch, sealed))
    #expect(try Data(contentsOf: URL(filePath: path)) == before)
    // Without its manifest a sealed file is an unfinished one.
    try FileManager.default.removeItem(atPath: SessionManifest.path(of: path))
    #expect(try deal(batch, sealed))
    #expect(try open(batch, party: 1).header.session == 0)
    // Another dealer's key: what is sealed cannot be looked into, so it is not signed either.
    let error = inputError {
      _ = try deal(
        batch, Delivery(key: .random(), recipients: sealed.recipients))
    }
    #expect(error?.cause.contains("is by the key") == true)
    #expect(error?.source.hasSuffix("000000.json.sig") == true)
    #expect(error?.hint.contains("000000.corr.age cannot be opened here") == true)
    // Where a manifest is another session's it is the manifest that is wrong.
    let manifest = SessionManifest.path(of: path)
    var other = try SessionManifest(path: manifest)
    other.header.session = 1
    try other.write(to: manifest, key: dealer)
    let foreign = inputError { _ = try deal(batch, sealed) }
    #expect(foreign?.source == manifest && foreign?.place == "batch")
  }

  @Test func sessionsThatAreThereAreSignedLater() throws {
    let batch = try fixture.batch()
    #expect(try deal(batch, .plain))
    #expect(try names(batch, party: 0) == ["000000.corr"])
    #expect(try !deal(batch, signed))
    #expect(try names(batch, party: 0) == ["000000.corr", "000000.json", "000000.json.sig"])
    let path = batch.path(party: 0, session: 0)
    let file = try SessionFile(path: path, trust: trust)
    _ = try CorrelationFile(file, access: FileAccess(trust: trust))
    // A damaged file is not signed, but replaced by what it was.
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    bytes[bytes.count - 100] ^= 1
    try AtomicFile.write(bytes, to: path)
    #expect(
      inputError { _ = try CorrelationFile(file, access: FileAccess(trust: trust)) }?.cause
        == "its SHA-256 is not the one in its manifest")
    for name in ["000000.json", "000000.json.sig"] {
      try FileManager.default.removeItem(atPath: "\(batch.folder)/party0/\(name)")
    }
    #expect(try deal(batch, signed))
    #expect(try names(batch, party: 0) == ["000000.corr", "000000.json", "000000.json.sig"])
    _ = try CorrelationFile(
      SessionFile(path: path, trust: trust), access: FileAccess(trust: trust))
    // A file that is whole in itself but is not the one that was signed is replaced as well.
    let other = try fixture.batch("other")
    #expect(try deal(other, .plain))
    try DamagedFile.rewrite(other.path(party: 0, session: 0), to: path) {
      $0["batch"] = .string(batch.seeds.identifier.hexadecimal)
    }
    _ = try CorrelationFile(path: path, verifying: true)
    #expect(try deal(batch, signed))
    #expect(try !deal(batch, signed))
  }

  /// The dealer cannot open what it has sealed; its manifest says what the sealed bytes were.
  @Test func damagedSealedSessionsAreReplaced() throws {
    let batch = try fixture.batch()
    for delivery in [sealed, Delivery(recipients: sealed.recipients)] {
      _ = try deal(batch, delivery)
      let path = batch.path(party: 1, session: 0) + AgeTool.suffix
      let whole = [UInt8](try Data(contentsOf: URL(filePath: path)))
      var changed = whole
      changed[whole.count / 2] ^= 1
      for bytes in [changed, Array(whole.prefix(whole.count / 2)), []] {
        try AtomicFile.write(bytes, to: path)
        var reports: [InputError] = []
        let isNew = try batch.deal(
          session: 0, program: fixture.bundle.program, weights: fixture.bundle,
          delivery: delivery, report: { reports.append($0) })
        #expect(isNew)
        #expect(reports.map(\.source) == [path])
        #expect(try !deal(batch, delivery))
      }
    }
  }

  @Test func stockCountsSealedSessions() throws {
    let batch = try fixture.batch()
    for session in 0..<2 { _ = try deal(batch, sealed, session: session) }
    let folder = BatchFolder(path: batch.folder)
    let entries = try folder.entries { Issue.record($0) }
    #expect(entries.map(\.header.session) == [0, 1, 0, 1])
    #expect(entries.allSatisfy { $0.byteCount > 1000 })
    #expect(try folder.missing(of: 0..<3, delivery: sealed) == [2])
    #expect(
      inputError { _ = try folder.missing(of: 0..<3) }?.source
        == batch.path(party: 0, session: 0) + AgeTool.suffix)
    let stock = try SessionStock.stocks(in: folder, ledgers: []) { Issue.record($0) }
    #expect(stock.map(\.ready) == [[0, 1]])
    // At a party, too.
    let part = BatchFolder(path: "\(batch.folder)/party1")
    let ready = try SessionStock.stocks(in: part, ledgers: []) { Issue.record($0) }.map(\.ready)
    #expect(ready == [[0, 1]])
  }

  private func provider(
    _ batch: Batch, party: Int = 0, access: FileAccess, report: LogLines = LogLines()
  ) throws -> BundleProvider {
    // The bundle has a manifest of its own, which is not what is tested here.
    let folder = fixture.files.folder
    try Manifest(path: "\(folder)/manifest.json").write(
      to: "\(folder)/manifest.json", key: dealer)
    return try BundleProvider(
      party: party, bundlePath: fixture.files.bundlePath(party),
      correlationFolder: "\(batch.folder)/party\(party)", access: access,
      report: { report.append($0) })
  }

  @Test func partiesListByManifestAndOpenWithTheirKey() throws {
    let batch = try fixture.batch()
    for session in 0..<2 { _ = try deal(batch, sealed, session: session) }
    let access = FileAccess(trust: trust, identity: keys[0])
    let provider = try provider(batch, access: access)
    let sessions = try provider.availableSessions()
    #expect(sessions.map(\.key.session) == [0, 1])
    #expect(sessions[0].promptCapacity == fixture.shape.promptCapacity)
    _ = try provider.openSession(sessions[1])
    // Without a key they are listed all the same, but not opened.
    let blind = try self.provider(batch, access: FileAccess(trust: trust))
    #expect(try blind.availableSessions() == sessions)
    #expect {
      _ = try blind.openSession(sessions[0])
    } throws: { ($0 as? SessionFault)?.error.cause == "is sealed" }
  }

  /// What was checked is what is used: nothing is read again that could have changed since.
  @Test func aManifestIsReadOnce() throws {
    let batch = try fixture.batch()
    _ = try deal(batch, signed, session: 0)
    let path = "\(batch.folder)/party0/000000.json"
    let counter = OpenCounter(path)
    let access = FileAccess(trust: trust)
    let provider = try provider(batch, access: access)
    let sessions = try provider.availableSessions()
    _ = try provider.openSession(sessions[0])
    #expect(counter.count() == 1)
    _ = try VerifiedFile(path: path, access: access)
    #expect(counter.count() == 1)
    _ = try VerifiedFile(path: "\(batch.folder)/party0/000000.corr", access: access)
    #expect(counter.count() == 1)
  }

  /// A session that is not signed as it must be is reported once, and the others serve.
  @Test func untrustedSessionsAreReportedAndLeft() throws {
    let batch = try fixture.batch()
    for session in 0..<5 { _ = try deal(batch, signed, session: session) }
    let folder = "\(batch.folder)/party0"
    // 1: no signature, 2: no manifest, 3: by another key, 4: of another session.
    try FileManager.default.removeItem(atPath: "\(folder)/000001.json.sig")
    for name in ["000002.json", "000002.json.sig"] {
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }
    try SessionManifest(path: "\(folder)/000003.json").write(
      to: "\(folder)/000003.json", key: .random())
    for name in ["000004.json", "000004.json.sig"] {
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      try FileManager.default.copyItem(
        atPath: "\(folder)/\(name.replacingOccurrences(of: "4", with: "0"))",
        toPath: "\(folder)/\(name)")
    }
    let report = LogLines()
    let provider = try provider(batch, access: FileAccess(trust: trust), report: report)
    for _ in 0..<2 {
      #expect(try provider.availableSessions().map(\.key.session) == [0])
    }
    let lines = report.text.split(separator: "\n")
    #expect(lines.count == 4, "\(report.text)")
    for (line, part) in zip(
      lines,
      [
        "000001.json: is not signed", "000002.corr: has no manifest", "which is not trusted here",
        "000004.json: files: does not name 000004.corr",
      ])
    { #expect(line.contains(part), "\(line)") }
    // With nothing left, the first reason is the answer.
    try FileManager.default.removeItem(atPath: "\(folder)/000000.json.sig")
    let error = inputError {
      _ = try self.provider(batch, access: FileAccess(trust: trust)).availableSessions()
    }
    #expect(error?.cause == "is not signed: 000000.json.sig is missing")
  }
}

/// Counts how often files are opened, as the kernel tells of it.
private final class OpenCounter {
  private let descriptor = inotify_init1(Int32(O_NONBLOCK) | Int32(O_CLOEXEC))

  init(_ path: String) { _ = unsafe inotify_add_watch(descriptor, path, UInt32(IN_OPEN)) }

  deinit { close(descriptor) }

  /// Since the last time that it was asked.
  func count() -> Int {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe read(descriptor, $0.baseAddress, $0.count)
    }
    // The events of a watched file have no names: each is of the same size.
    return max(0, count) / MemoryLayout<inotify_event>.size
  }
}

/// Lines that a closure was told.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])
  var text: String { lines.withLock { $0.joined(separator: "\n") } }
  func append(_ line: String) { lines.withLock { $0.append(line) } }
}
