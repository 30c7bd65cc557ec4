// A party's files as the service needs them: its bundle and its folder of correlations.

public import Bytes
import Correlations
import Models
import Program
import Randomness
import Sharing
import Synchronization

extension Connection: OpeningChannel {
  public func exchange(_ words: [UInt64]) throws(InputError) -> [UInt64] {
    try exchange(words, incomingCount: words.count)
  }
}

/// One session of one party, driven by the service.
final class InterpreterEngine: SessionEngine {
  private var interpreter: PartyInterpreter<StoredMaterial>

  init(_ interpreter: consuming PartyInterpreter<StoredMaterial>) {
    self.interpreter = interpreter
  }

  func step(inputShare: [UInt64], rowCount: Int, peer: Connection) throws(InputError)
    -> [UInt64]
  {
    try interpreter.step(inputShare: inputShare, rowCount: rowCount, through: peer)
  }
}

/// Sessions of one bundle from a folder of correlation files.
public final class BundleProvider: SessionProvider, Sendable {
  public let identity: PartyIdentity
  private let bundle: PartyBundle
  private let weights: [[UInt64]]
  private let folder: String
  /// Headers that were read, by path: a folder of many sessions is opened once.
  private let known = Mutex<[String: SessionDescription]>([:])

  /// Opens the bundle of `party` and expands its weight shares.
  ///
  /// - Throws: `InputError` when the bundle is damaged or belongs to the other party.
  public init(party: Int, bundlePath: String, correlationFolder: String) throws(InputError) {
    bundle = try PartyBundle(path: bundlePath)
    guard bundle.party == party else {
      throw InputError(
        bundlePath, place: "party", "is for party \(bundle.party), this is party \(party)",
        hint: "start it with --party \(bundle.party), or give it party\(party).bundle")
    }
    folder = correlationFolder
    var weights: [[UInt64]] = []
    for id in bundle.program.weights.indices { weights.append(try bundle.share(id)) }
    self.weights = weights
    let program = bundle.program
    guard let input = program.inputValue, let output = program.outputValue,
      let inputWidth = input.shape.width, let outputWidth = output.shape.width
    else { throw InputError(bundlePath, place: "program", "input or output has no fixed width") }
    identity = PartyIdentity(
      party: party, programDigest: bundle.conversion.programDigest,
      conversionDigest: SHA256.digest(bundle.conversion.identifier), inputWidth: inputWidth,
      outputWidth: outputWidth, isDecoder: program.kind == .decoder,
      takesEmbedding: program.clientInput == .embedding,
      outputFractionalBits: max(output.fractionalBits, 0))
    // A folder of another party, program or conversion is told at once.
    if let first = try paths().first { _ = try open(first, verifying: false) }
  }

  private func paths() throws(InputError) -> [String] {
    try Folder.names(in: folder).filter { $0.hasSuffix(".corr") }.map { "\(folder)/\($0)" }
  }

  private func open(_ path: String, verifying: Bool) throws(InputError) -> CorrelationFile {
    let file = try CorrelationFile(path: path, verifying: verifying)
    try file.check(
      party: identity.party, conversion: bundle.conversion, program: bundle.program)
    return file
  }

  public func availableSessions() throws(InputError) -> [SessionDescription] {
    var result: [SessionDescription] = []
    for path in try paths() {
      if let description = known.withLock({ $0[path] }) {
        result.append(description)
        continue
      }
      let header = try CorrelationFile(path: path, verifying: false).header
      let description = SessionDescription(
        key: SessionKey(batch: header.batch.hexadecimal, session: header.session),
        promptCapacity: header.shape.promptCapacity, newCapacity: header.shape.newCapacity)
      known.withLock { $0[path] = description }
      result.append(description)
    }
    return result.sorted { $0.key < $1.key }
  }

  public func openSession(_ session: SessionDescription) throws(InputError) -> any SessionEngine {
    for path in try paths() {
      guard known.withLock({ $0[path]?.key }) == session.key else { continue }
      let file = try open(path, verifying: true)
      guard file.header.batch.hexadecimal == session.key.batch,
        file.header.session == session.key.session
      else { throw InputError(path, place: "session", "has changed since it was listed") }
      return InterpreterEngine(
        PartyInterpreter(
          program: bundle.program, weights: weights,
          material: try StoredMaterial(file: file, program: bundle.program)))
    }
    throw InputError(folder, "\(session.key) is not there any more")
  }
}
