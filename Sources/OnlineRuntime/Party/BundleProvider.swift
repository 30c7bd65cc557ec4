// A party's files as the service needs them: its bundle and its folder of correlations.

public import Bytes
import Correlations
import Dispatch
import Foundation
import Models
import Program
import Randomness
public import Sharing
import Synchronization

extension Connection: OpeningChannel {}

/// One session of one party, driven by the service.
final class InterpreterEngine: SessionEngine {
  private var interpreter: PartyInterpreter<StoredMaterial>
  /// As many sessions compute at once as there are processors.
  private let turns: DispatchSemaphore

  init(_ interpreter: consuming PartyInterpreter<StoredMaterial>, turns: DispatchSemaphore) {
    self.interpreter = interpreter
    self.turns = turns
  }

  var strained: StrainedOperands { interpreter.strained }

  func prepare(peer: Connection) throws(InputError) {
    try interpreter.material.passKeys(through: peer)
  }

  func step(inputShare: [UInt64], _ request: StepRequest, through channel: any OpeningChannel)
    throws(InputError) -> [UInt64]
  {
    turns.wait()
    defer { turns.signal() }
    return try interpreter.step(
      inputShare: inputShare, request, through: Lane(channel: channel, turns: turns))
  }

  /// The way to the other party; while a session waits for that another computes.
  private struct Lane: OpeningChannel {
    let channel: any OpeningChannel
    let turns: DispatchSemaphore

    func exchange(_ words: [UInt64], incomingCount: Int) throws(InputError) -> [UInt64] {
      turns.signal()
      defer { turns.wait() }
      return try channel.exchange(words, incomingCount: incomingCount)
    }
  }
}

/// Sessions of one bundle from a folder of session files, with folders in it for more batches.
public final class BundleProvider: SessionProvider, Sendable {
  public let identity: PartyIdentity
  private let party: Int
  private let program: SecureProgram
  private let conversion: Conversion
  private let weights: [HeldWeight]
  private let weightMasks: WeightMasks?
  private let folder: String
  private let access: FileAccess
  private let report: @Sendable (String) -> Void
  private let observe: OpeningObserver?
  /// Files whose manifests or headers were read, by path: a folder of many sessions is opened once.
  private let known = Mutex<[String: KnownFile]>([:])
  private let workByteCounts = Mutex<[SessionWork: Int]>([:])
  private let turns = DispatchSemaphore(value: ProcessInfo.processInfo.activeProcessorCount)
  /// Files that were refused and reported.
  private let refused = Mutex<Set<String>>([])

  /// Throws where `bundle` is not for whoever gives it, and says for whom it is.
  private static func check(
    _ bundle: PartyBundle, at path: String, party: Int, isUser: Bool
  ) throws(InputError) {
    let deployment = bundle.conversion.deployment
    if isUser, deployment != .providerUser {
      throw InputError(
        path, "is of one of two servers, not of a provider's user",
        hint: "clients of two servers ask with --party0 and --party1, and have no such bundle")
    }
    if deployment == .providerUser, bundle.party == 1, !isUser {
      throw InputError(
        path, "is a user's, who is no server",
        hint: "the user runs lodge-client --provider HOST:PORT --bundle \(path)")
    }
    guard bundle.party != party else { return }
    let other = "start it with --party \(bundle.party)"
    throw InputError(
      path, place: "party",
      "is for \(deployment.role(ofParty: bundle.party)), this is \(deployment.role(ofParty: party))",
      hint: isUser
        ? "give \(deployment.bundleName(ofParty: party)); the provider runs lodge-party --party 0"
        : deployment == .providerUser
          ? other : "\(other), or give it \(deployment.bundleName(ofParty: party))")
  }

  /// Opens the bundle of `party` and expands its weight shares.
  ///
  /// - Parameters:
  ///   - isUser: Whether this is a user's process, which is client and party 1.
  ///   - access: Whose signatures count, and which key opens sealed files.
  ///   - report: Is told once of every session file that is not used, and why.
  ///   - observe: Is told what every step opens, for checks.
  /// - Throws: `InputError` when the bundle is damaged or belongs to the other party, and when it
  ///   is not signed as `access` asks.
  public init(
    party: Int, bundlePath: String, correlationFolder: String, access: FileAccess = .plain,
    isUser: Bool = false,
    report: @escaping @Sendable (String) -> Void = { _ in }, observe: OpeningObserver? = nil
  ) throws(InputError) {
    let bundle = try PartyBundle(path: bundlePath, access: access)
    try BundleProvider.check(bundle, at: bundlePath, party: party, isUser: isUser)
    self.party = party
    folder = correlationFolder
    self.access = access
    self.report = report
    self.observe = observe
    program = bundle.program
    conversion = bundle.conversion
    var weights: [HeldWeight] = []
    for id in program.weights.indices { weights.append(try bundle.heldShare(id)) }
    self.weights = weights
    weightMasks = bundle.weightMasks
    guard let input = program.inputValue, let output = program.outputValue,
      let inputWidth = input.shape.width, let outputWidth = output.shape.width
    else { throw InputError(bundlePath, place: "program", "input or output has no fixed width") }
    identity = PartyIdentity(
      party: party, programDigest: conversion.programDigest,
      conversionDigest: SHA256.digest(conversion.identifier), inputWidth: inputWidth,
      outputWidth: outputWidth, isDecoder: program.kind.isDecoder,
      takesEmbedding: program.clientInput == .embedding,
      outputFractionalBits: max(output.fractionalBits, 0), outputBits: program.outputBits,
      output: program.output,
      deployment: conversion.deployment, allowsRejection: program.allowsRejection)
    // A folder of another party, program or conversion is told at once.
    if let file = try files(most: 1).first?.file, file.entry == nil {
      try CorrelationFile(path: file.path, verifying: false)
        .check(party: party, conversion: conversion, program: program)
    }
  }

  /// The first `most` files that can be listed; throws the first refusal when there is no such file.
  private func files(most: Int = .max) throws(InputError) -> [KnownFile] {
    var result: [KnownFile] = []
    var refusal: InputError?
    for path in try SessionFile.paths(below: folder) where result.count < most {
      if let file = known.withLock({ $0[path] }) {
        result.append(file)
        continue
      }
      do throws(InputError) {
        let file = KnownFile(
          file: try SessionFile(path: path, trust: access.trust),
          byteCount: try FilePaths.byteCount(of: path))
        // What is another party's, or another conversion's, is no stock of this one.
        try file.file.header.check(
          party: party, conversion: conversion, program: program, path: path)
        known.withLock { $0[path] = file }
        result.append(file)
      } catch {
        refusal = refusal ?? error
        if refused.withLock({ $0.insert(path).inserted }) { report("error: \(error)") }
      }
    }
    if result.isEmpty, let refusal { throw refusal }
    return result
  }

  public func availableSessions() throws(InputError) -> [SessionDescription] {
    try files().map { known in
      let file = known.file
      return SessionDescription(
        key: file.key, promptCapacity: file.header.shape.promptCapacity,
        newCapacity: file.header.shape.newCapacity, user: file.header.user?.hexadecimal,
        memoryByteCount: known.byteCount + workByteCount(of: file.header))
    }.sorted { $0.key < $1.key }
  }

  /// What a session takes beside its file: words, and keys that the other party passes on.
  private func workByteCount(of header: CorrelationHeader) -> Int {
    workByteCounts.withLock { known in
      let work = SessionWork(shape: header.shape, keys: header.keys)
      if let count = known[work] { return count }
      let cost = program.correlationCost(
        of: work.shape, deployment: conversion.deployment, keys: work.keys)
      let count =
        program.wordByteCount(of: work.shape) + cost.passedKeyByteCount[1 - identity.party]
      known[work] = count
      return count
    }
  }

  public func openSession(_ session: SessionDescription) throws(SessionFault) -> any SessionEngine {
    let found: SessionFile?
    do throws(InputError) {
      found = try files().first { $0.file.key == session.key }?.file
    } catch {
      throw SessionFault(.machine, error)
    }
    guard let found else {
      throw SessionFault(
        .unavailable, InputError(folder, "\(session.key) is not there any more"))
    }
    do throws(InputError) {
      let file = try CorrelationFile(found, access: access)
      try file.check(party: identity.party, conversion: conversion, program: program)
      try file.populate()
      var interpreter = PartyInterpreter(
        program: program, weights: weights,
        material: try StoredMaterial(
          file: file, program: program, weightMasks: weightMasks))
      interpreter.observe = observe
      return InterpreterEngine(interpreter, turns: turns)
    } catch {
      // Its manifest is read anew as well when it is mended.
      known.withLock { $0[found.path] = nil }
      throw SessionFault(opening: error)
    }
  }
}

/// What decides how much a session takes beside its file.
private struct SessionWork: Hashable {
  var shape: SessionShape
  var keys: KeyCopies
}

/// A file of the folder, and its size.
private struct KnownFile {
  var file: SessionFile
  var byteCount: Int
}

extension SessionFile {
  fileprivate var key: SessionKey {
    SessionKey(batch: header.batch.hexadecimal, session: header.session)
  }
}
