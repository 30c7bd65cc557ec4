// A provider and its users over loopback, with bundles and sessions on disk.

import Approximation
import Bytes
import Containers
import Correlations
import Foundation
import Models
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Trust

/// The folders of all roles, and a provider that serves.
private final class Roles {
  let files: ConversionFiles
  let folder: String
  let correlations: String
  private(set) var provider: PartyService?
  private var worker: Worker<Void>?

  init(
    _ files: ConversionFiles, prompt: Int = 4, new: Int = 3, sessions: Range<Int> = 0..<2,
    user: PublicKey? = nil
  ) throws {
    self.files = files
    folder = files.scratch.file("roles")
    correlations = files.scratch.file("corr")
    _ = try ShareWriter.share(
      ModelFile(path: files.modelPath), into: folder, deployment: .providerUser)
    let bundle = try DealerBundle.open(in: "\(folder)/dealer")
    let isDecoder = bundle.program.kind == .decoder
    let batch = try Batch(
      folder: correlations, conversion: bundle.conversion,
      shape: SessionShape(
        kind: bundle.program.kind, promptCapacity: prompt, newCapacity: isDecoder ? new : 0),
      user: user?.bytes)
    _ = try batch.deal(sessions: sessions, program: bundle.program, weights: bundle)
  }

  func serve(
    security: PartySecurity = .plaintextOnLoopback, concurrency: Int = 4,
    clientIdleTimeout: Duration = .seconds(120)
  ) throws {
    let files = try BundleProvider(
      party: 0, bundlePath: "\(folder)/provider/provider.bundle",
      correlationFolder: "\(correlations)/party0")
    var configuration = PartyConfiguration(
      listen: Address(host: "127.0.0.1", port: 0), peer: nil)
    configuration.security = security
    configuration.concurrency = concurrency
    configuration.clientIdleTimeout = clientIdleTimeout
    let service = try PartyService(identity: files.identity, configuration: configuration) { _ in }
    let paths = (ledger: "\(folder)/provider.ledger", sessions: "\(correlations)/party0")
    provider = service
    worker = Worker {
      try service.run(
        provider: files,
        ledger: SessionLedger(path: paths.ledger, party: 0, guarding: paths.sessions))
    }
  }

  func stop() throws {
    provider?.stop()
    try worker?.value()
    worker = nil
  }

  /// The user's files and ledger; another `name` is that of a second user, who has copies.
  func user(_ name: String = "user") throws -> (BundleProvider, PatientLedger) {
    let sessions = name == "user" ? "\(correlations)/party1" : "\(folder)/\(name)"
    if !FileManager.default.fileExists(atPath: sessions) {
      try FileManager.default.copyItem(atPath: "\(correlations)/party1", toPath: sessions)
    }
    return (
      try BundleProvider(
        party: 1, bundlePath: "\(folder)/user/user.bundle", correlationFolder: sessions,
        isUser: true),
      PatientLedger(try SessionLedger(path: ledger(name), party: 1, guarding: sessions))
    )
  }

  func ledger(_ name: String) -> String { "\(folder)/\(name).ledger" }

  func begin(
    _ prompt: Int = 3, new: Int = 2, security: ClientSecurity = .plaintextOnLoopback,
    as name: String = "user", timeout: Duration = .seconds(20),
    waiting: (String) -> Void = { _ in }
  ) throws -> UserSession {
    guard let address = provider?.address else { throw InputError("test", "nobody serves") }
    let (files, ledger) = try user(name)
    return try UserSession.begin(
      provider: address, files: files, ledger: ledger, promptCount: prompt,
      newCount: new,
      security: security, timeout: timeout, waiting: waiting)
  }
}

@Suite struct ProviderUserTests {
  private func roles(recipe: Recipe = .accurate, user: PublicKey? = nil) throws -> Roles {
    try Roles(ConversionFiles.tiny(.opt(layerCount: 1), recipe: recipe), user: user)
  }

  /// A user learns between two turns that the provider has given the session up, and why.
  @Test func silenceEndsTheSession() throws {
    let roles = try roles()
    try roles.serve(clientIdleTimeout: .seconds(1))
    var generation = SecureGeneration(session: try roles.begin(), tables: nil)
    var sampler = TokenSampler.greedy
    _ = try generation.answer([1, 4], newCount: 1, sampler: &sampler)
    #expect(generation.loss() == nil)
    let end = ContinuousClock.now + .seconds(20)
    var loss: InputError?
    while loss == nil, ContinuousClock.now < end {
      usleep(20_000)
      loss = generation.loss()
    }
    #expect(loss?.cause.contains("sent no step in 1.00 s (--idle)") == true, "\(loss as Any)")
    try roles.stop()
  }

  /// The tokens that the model itself chooses, with what either side is told of the cost.
  @Test(arguments: ["accurate", "permllm"])
  func answersAreThoseOfTheModel(recipe: String) throws {
    let roles = try roles(recipe: Recipe.named(recipe))
    try roles.serve()
    let prompt = [1, 4, 2]
    let result = try SecureGeneration(session: roles.begin(), tables: nil)
      .run(prompt: prompt, newCount: 2)
    let interpreter = try FloatInterpreter(roles.files.model, weights: roles.files.weights)
    let reference = try interpreter.run(tokens: prompt)
    for (value, expected) in zip(result.rows[0], reference.row(2)) {
      #expect(abs(value - expected) < 0.01)
    }
    let program = roles.files.program
    let session = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 3)
    let cost = program.cost(
      of: SessionStep(session: session, rows: 0..<3, index: 0), deployment: .providerUser)
    let counters = result.counters[0]
    #expect(counters.party0.rounds == cost.roundCount)
    #expect(
      counters.party0.bytesSent
        == cost.byteCount(party: 0, frameByteCount: Connection.frameHeaderByteCount))
    #expect(counters.party0.bytesReceived == counters.party1.bytesSent)
    #expect((result.aheadByteCount > 0) == (recipe == "accurate"))
    try roles.stop()
    for (path, party) in [("provider.ledger", 0), ("user.ledger", 1)] {
      let ledger = try SessionLedger(path: "\(roles.folder)/\(path)", party: party)
      #expect(try ledger.state(of: result.session) == .finished)
    }
    // A session file of a user is a seed and digests.
    let byteCount = try FilePaths.byteCount(of: "\(roles.correlations)/party1/000000.corr")
    #expect(byteCount < 100_000)
  }

  @Test func aSessionIsUsedOnce() throws {
    let roles = try roles()
    try roles.serve()
    for session in 0..<2 {
      let user = try roles.begin()
      #expect(user.key.session == session)
      if session == 0 { try user.end() }
      // The second is left without an end.
    }
    let error = inputError { _ = try roles.begin() }
    #expect(error?.cause == "no unused session is left: all 2 are used")
    try roles.stop()
    let ledger = try SessionLedger(path: "\(roles.folder)/user.ledger", party: 1)
    let batch = try #require(ledger.claimedSessions().first).batch
    #expect(try ledger.state(of: SessionKey(batch: batch, session: 1)) == .burned)
  }

  /// A user with an old ledger, and a provider with one, learn of what the other has noted.
  @Test func ledgersAreReconciled() throws {
    let roles = try roles()
    try roles.serve()
    try roles.begin().end()
    try roles.stop()
    try FileManager.default.removeItem(atPath: "\(roles.folder)/provider.ledger")
    try roles.serve()
    let user = try roles.begin()
    #expect(user.key.session == 1)
    try user.end()
    try roles.stop()
  }

  @Test func aProviderThatDiesBurnsTheSession() throws {
    let roles = try roles()
    try roles.serve()
    var user: UserSession? = try roles.begin()
    let key = try #require(user?.key)
    let width = user?.identity.inputWidth ?? 0
    func row(_ token: Int) -> [UInt64] { (0..<width).map { $0 == token ? 1 : 0 } }
    _ = try user?.step(rows: row(1), rowCount: 1)
    try roles.stop()
    #expect(inputError { _ = try user?.step(rows: row(2), rowCount: 1) } != nil)
    user = nil
    for (path, party) in [("provider.ledger", 0), ("user.ledger", 1)] {
      let ledger = try SessionLedger(path: "\(roles.folder)/\(path)", party: party)
      #expect(try ledger.state(of: key) == .burned)
    }
  }

  /// Sessions that name a user are served to the holder of that key alone.
  @Test func sessionsBelongToTheirUser() throws {
    let keys = (0..<3).map { _ in PrivateKey.random() }
    let contexts = keys.map { TLSContext(key: $0) }
    let roles = try roles(user: keys[1].publicKey)
    try roles.serve(
      security: .keys(
        own: contexts[0], peer: nil, clients: [keys[1].publicKey, keys[2].publicKey]))
    let other = inputError {
      _ = try roles.begin(
        security: .keys(own: contexts[2], parties: [keys[0].publicKey]))
    }
    #expect(other?.cause == "there are no sessions for this user")
    let user = try roles.begin(
      security: .keys(own: contexts[1], parties: [keys[0].publicKey]))
    try user.end()
    try roles.stop()
  }

  /// What others have used of their sessions is told to nobody else.
  @Test func usedMessagesLeaveOutOthersBatches() throws {
    let keys = (0..<3).map { _ in PrivateKey.random() }
    let contexts = keys.map { TLSContext(key: $0) }
    let roles = try roles(user: keys[1].publicKey)
    try roles.serve(
      security: .keys(
        own: contexts[0], peer: nil, clients: [keys[1].publicKey, keys[2].publicKey]))
    func begin(_ user: Int, _ name: String) throws -> UserSession {
      try roles.begin(
        security: .keys(own: contexts[user], parties: [keys[0].publicKey]), as: name)
    }
    let first = try begin(1, "first")
    try first.end()
    #expect(inputError { _ = try begin(2, "other") } != nil)
    let other = try SessionLedger(path: roles.ledger("other"), party: 1)
    #expect(try other.claimedSessions().isEmpty)
    // The owner is told, whose ledger is new.
    try begin(1, "again").end()
    let again = try SessionLedger(path: roles.ledger("again"), party: 1)
    #expect(try again.state(of: first.key) == .burned)
    try roles.stop()
  }

  /// Two sessions of one user, who has one ledger for both, and one of another, step by step in turns.
  @Test func usersAreServedSideBySide() throws {
    let roles = try roles()
    try roles.serve()
    let address = try #require(roles.provider?.address)
    let (files, ledger) = try roles.user("user")
    let own = try UserSession.begin(
      provider: address, files: files, ledger: ledger, promptCount: 3, newCount: 2)
    let second = try UserSession.begin(
      provider: address, files: files, ledger: ledger, promptCount: 3, newCount: 2)
    #expect(Set([own.key.session, second.key.session]) == [0, 1])
    let width = files.identity.inputWidth
    let row = (0..<width).map { $0 == 3 ? UInt64(1) : 0 }
    let first = try own.step(rows: row, rowCount: 1)
    let other = try second.step(rows: row, rowCount: 1)
    // The same token at the same place, under other masks.
    let values = [first, other].map {
      files.identity.output.values($0, fractionalBits: files.identity.outputFractionalBits)
    }
    for (left, right) in zip(values[0], values[1]) { #expect(abs(left - right) < 0.01) }
    try second.end()
    _ = try own.step(rows: row, rowCount: 1)
    try own.end()
    try roles.stop()
    for session in 0...1 {
      let key = SessionKey(batch: own.key.batch, session: session)
      let provider = try SessionLedger(path: roles.ledger("provider"), party: 0)
      #expect(try provider.state(of: key) == .finished)
    }
  }

  /// A second user waits its turn and is told so; one that has no more time says what it waited for.
  @Test func usersAreServedOneAfterTheOther() throws {
    let roles = try roles()
    try roles.serve(concurrency: 1)
    let first = try roles.begin()
    let error = inputError { _ = try roles.begin(as: "second", timeout: .seconds(2)) }
    #expect(error?.cause == "no session in time: busy with other clients")
    // Nor does one user ask twice at a time.
    let own = inputError { _ = try roles.begin() }
    #expect(own?.cause == "another process uses this ledger")
    #expect(own?.hint.contains("let the other lodge-client finish") == true)
    let reasons = Shared<[String]>([])
    let address = try #require(roles.provider?.address)
    let (files, _) = try roles.user("third")
    let path = roles.ledger("third")
    let second = Worker {
      let session = try UserSession.begin(
        provider: address, files: files, ledger: PatientLedger(SessionLedger(path: path, party: 1)),
        promptCount: 3, newCount: 2
      ) { reason in reasons.withLock { $0.append(reason) } }
      try session.end()
      return session.key.session
    }
    while reasons.withLock({ $0.isEmpty }) { usleep(5000) }
    try first.end()
    #expect(try second.value() == 1)
    #expect(reasons.withLock { $0[0] } == "busy with other clients")
    try roles.stop()
  }

  @Test func keysAreComparedWithTheirDigests() throws {
    let roles = try roles()
    // The user's file says that other keys were dealt.
    try DamagedFile.changeFirstByte(
      ofArray: "keysDigest", in: "\(roles.correlations)/party1/000000.corr")
    try roles.serve()
    let error = inputError { _ = try roles.begin() }
    #expect(error?.cause == "sent other keys than were dealt")
    #expect(try roles.begin().key.session == 1)
    try roles.stop()
  }

  /// What is wrong with a user's file is said to this user, and is over when it is mended.
  @Test func aMendedFileOfAUserIsUsed() throws {
    let roles = try roles()
    try roles.serve()
    let whole = try Data(contentsOf: URL(filePath: "\(roles.correlations)/party1/000000.corr"))
    let users = ["first", "second"]
    for name in users {
      _ = try roles.user(name)
      try FileManager.default.removeItem(atPath: "\(roles.folder)/\(name)/000001.corr")
      let path = "\(roles.folder)/\(name)/000000.corr"
      try FileManager.default.removeItem(atPath: path)
      try DamagedFile.invertBytes("\(roles.correlations)/party1/000000.corr", to: path, at: 0.6)
    }
    for name in users + users {
      let error = inputError { _ = try roles.begin(as: name) }
      #expect(error?.description.contains("\(roles.folder)/\(name)/000000.corr") == true)
      for other in users where other != name {
        #expect(error?.description.contains("\(roles.folder)/\(other)/") == false)
      }
    }
    try whole.write(to: URL(filePath: "\(roles.folder)/second/000000.corr"))
    let session = try roles.begin(as: "second")
    #expect(session.key.session == 0)
    try session.end()
    #expect(inputError { _ = try roles.begin(as: "first") } != nil)
    try roles.stop()
    let ledger = try SessionLedger(path: roles.ledger("provider"), party: 0)
    #expect(try ledger.state(of: session.key) == .finished)
  }

  @Test func rolesAreNotMixed() throws {
    let roles = try roles()
    func party(_ party: Int, _ bundle: String, isUser: Bool = false) throws {
      _ = try BundleProvider(
        party: party, bundlePath: bundle, correlationFolder: "\(roles.correlations)/party\(party)",
        isUser: isUser)
    }
    #expect(
      inputError { try party(1, "\(roles.folder)/user/user.bundle") }?.cause
        == "is a user's, who is no server")
    #expect(
      inputError { try party(0, "\(roles.folder)/user/user.bundle") }?.hint
        .hasPrefix("the user runs lodge-client --provider") == true)
    #expect(
      inputError { try party(1, "\(roles.folder)/provider/provider.bundle", isUser: true) }?.hint
        .hasPrefix("give user.bundle") == true)
    #expect(
      inputError { try party(0, "\(roles.folder)/dealer/dealer.bundle") }?.place == "kind")
    // A server's bundle with a user's sessions.
    #expect(
      inputError { try party(1, roles.files.bundlePath(1), isUser: true) }?.cause
        == "is of one of two servers, not of a provider's user")
    // Whoever deals must not have the files of another role.
    #expect(
      inputError { _ = try DealerBundle.open(in: roles.folder) }?.hint
        .contains("\(roles.folder)/dealer") == true)
    let bundle = "\(roles.folder)/dealer/user.bundle"
    try FileManager.default.copyItem(
      atPath: "\(roles.folder)/user/user.bundle", toPath: bundle)
    let error = inputError { _ = try DealerBundle.open(in: "\(roles.folder)/dealer") }
    #expect(error?.source == bundle)
    let blind = roles.files.scratch.file("blind")
    _ = try ShareWriter.share(
      ModelFile(path: roles.files.modelPath), into: blind, deployment: .blindDealer)
    _ = try DealerBundle.open(in: "\(blind)/dealer")
    try FileManager.default.copyItem(
      atPath: "\(blind)/party0/party0.bundle", toPath: "\(blind)/dealer/party0.bundle")
    #expect(
      inputError { _ = try DealerBundle.open(in: "\(blind)/dealer") }?.source
        == "\(blind)/dealer/party0.bundle")
    // Another conversion does not go over this one.
    #expect(
      inputError {
        _ = try ShareWriter.share(ModelFile(path: roles.files.modelPath), into: roles.folder)
      }?.cause == "another conversion is here")
  }

  @Test func aClientOfTwoServersIsToldWhatThisIs() throws {
    let roles = try roles()
    try roles.serve()
    let address = try #require(roles.provider?.address)
    let error = inputError {
      _ = try ClientSession.begin(
        party0: address, party1: address, promptCount: 2, newCount: 1, timeout: .seconds(10))
    }
    #expect(error?.cause == "this is a provider, which serves users")
    try roles.stop()
  }

  /// Each role's folder holds one role's files, and seeds are fresh.
  @Test func foldersHoldOneRoleEach() throws {
    let roles = try roles()
    let other = roles.files.scratch.file("again")
    _ = try ShareWriter.share(
      ModelFile(path: roles.files.modelPath), into: other, deployment: .providerUser)
    for (role, names) in [
      ("provider", ["manifest.json", "provider.bundle"]),
      ("user", ["manifest.json", "user.bundle"]),
      ("dealer", ["dealer.bundle", "dealer.json"]),
    ] {
      #expect(try Folder.names(in: "\(roles.folder)/\(role)").sorted() == names)
    }
    let bundles = try [roles.folder, other].map { try DealerBundle.open(in: "\($0)/dealer") }
    for id in bundles[0].program.multipliedWeights {
      #expect(try bundles[0].weight(id) != bundles[1].weight(id))
    }
    // The provider's weights are the model's; the user has nothing of them.
    let provider = try PartyBundle(path: "\(roles.folder)/provider/provider.bundle")
    let user = try PartyBundle(path: "\(roles.folder)/user/user.bundle")
    let encoded = try roles.files.encodedWeights()
    let masks = try #require(provider.weightMasks)
    let userMasks = try #require(user.weightMasks)
    for id in encoded.indices {
      #expect(try provider.share(id) == encoded[id])
      // In two bytes each where only linear layers read them.
      let held = try provider.heldShare(id)
      #expect(held.words == encoded[id])
      let isNarrow = if case .halves = held { true } else { false }
      let fits = encoded[id].allSatisfy { Int16(exactly: Int64(bitPattern: $0)) != nil }
      #expect(isNarrow == (fits && provider.program.linearWeights.contains(id)))
      #expect(try user.share(id).isEmpty)
      let mask = masks.stream(id).words(at: 0, count: encoded[id].count)
      #expect(mask == userMasks.stream(id).words(at: 0, count: encoded[id].count))
      guard bundles[0].program.multipliedWeights.contains(id) else { continue }
      let bits = UInt64(try bundles[0].elementBits(id))
      let sum = zip(try bundles[0].weight(id), mask).map { $0 &+ $1 }
      #expect(
        zip(sum, encoded[id]).allSatisfy { ($0 &- $1) << (64 - bits) == 0 })
    }
  }
}
