// What the party service needs of the part that computes: sessions on disk and one step of one.

public import Bytes
import Models
public import Program

/// What two parties must agree on, and what a client must know, before anything runs.
public struct PartyIdentity: Equatable, Sendable {
  /// 0 or 1.
  public var party: Int
  /// SHA-256 of the program.
  public var programDigest: [UInt8]
  /// Digest of the conversion that made both bundles.
  public var conversionDigest: [UInt8]
  /// Ring elements of one input row.
  public var inputWidth: Int
  /// Ring elements of one output row.
  public var outputWidth: Int
  /// True when the model generates token after token.
  public var isDecoder: Bool
  /// True when the client shares rows of an embedding table that it holds, false for one-hot rows.
  public var takesEmbedding: Bool
  /// Whether rows may be taken back, as those of drafts are.
  public var allowsRejection: Bool
  /// Fractional bits of the output words.
  public var outputFractionalBits: Int
  /// The bits of these words that are known, of two's complement numbers.
  public var outputBits: Int
  /// What the output is, and what the client does to it.
  public var output: OutputDescription
  /// Who the parties are.
  public var deployment: Deployment

  public init(
    party: Int, programDigest: [UInt8], conversionDigest: [UInt8], inputWidth: Int,
    outputWidth: Int, isDecoder: Bool, takesEmbedding: Bool = false, outputFractionalBits: Int = 0,
    outputBits: Int = 64, output: OutputDescription? = nil, deployment: Deployment = .twoServer,
    allowsRejection: Bool? = nil
  ) {
    self.allowsRejection = allowsRejection ?? isDecoder
    self.deployment = deployment
    self.output =
      output ?? OutputDescription(meaning: (isDecoder ? ModelKind.decoder : .encoder).plainOutput)
    self.takesEmbedding = takesEmbedding
    self.outputFractionalBits = outputFractionalBits
    self.outputBits = outputBits
    self.party = party
    self.programDigest = programDigest
    self.conversionDigest = conversionDigest
    self.inputWidth = inputWidth
    self.outputWidth = outputWidth
    self.isDecoder = isDecoder
  }

  /// How elements of the output travel.
  var outputOpening: Opening { Opening(shift: 0, bits: outputBits) }

  /// Elements of the output of a step of `request` that travels in `wordCount` words, each row in one or
  /// more; nil where no number of rows that it may have gives so many.
  package func outputCount(words wordCount: Int, _ request: StepRequest) -> Int? {
    [request.outputCount, request.rowCount, 1].map { $0 * outputWidth }.first {
      outputOpening.wordCount(elements: $0) == wordCount
    }
  }

  /// A party's share of the output as it travels.
  package func packedOutput(_ share: [UInt64]) -> [UInt64] {
    if outputBits == 64 { return share }
    var words: [UInt64] = []
    outputOpening.pack(share.map(outputOpening.reduced), into: &words)
    return words
  }

  /// Output words of a step from what both parties have sent: one's share and the other's.
  package func output(of count: Int, _ share0: [UInt64], _ share1: [UInt64]) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: count)
    outputOpening.add(share0[...], to: &words)
    outputOpening.add(share1[...], to: &words)
    let unused = UInt64(64 - outputBits)
    return words.map { UInt64(bitPattern: Int64(bitPattern: $0 &<< unused) &>> Int64(unused)) }
  }

  /// What a client must know of the model's kind.
  var kind: ModelKind {
    guard isDecoder else { return .encoder }
    return output.contextMarkers == nil ? .decoder : .prefixDecoder
  }
}

/// One session of correlated randomness in a party's folder.
public struct SessionDescription: Equatable, Sendable {
  public var key: SessionKey
  /// Longest prompt, in tokens.
  public var promptCapacity: Int
  /// Most new tokens.
  public var newCapacity: Int
  /// The public key of the user that it is for, in hexadecimal; nil for anybody.
  public var user: String?

  /// Bytes of memory that the session takes here while it runs, estimated from its shape.
  public var memoryByteCount: Int

  /// Rows that were dealt for it.
  var rowCount: Int { promptCapacity + max(newCapacity - 1, 0) }

  public init(
    key: SessionKey, promptCapacity: Int, newCapacity: Int, user: String? = nil,
    memoryByteCount: Int = 0
  ) {
    self.memoryByteCount = memoryByteCount
    self.user = user
    self.key = key
    self.promptCapacity = promptCapacity
    self.newCapacity = newCapacity
  }
}

/// One party's side of one session.
public protocol SessionEngine {
  /// What this party saw, in all steps so far, that the program hardly has room for.
  var strained: StrainedOperands { get }

  /// Sends or receives what one of both has for both, before the first step.
  mutating func prepare(peer: Connection) throws(InputError)

  /// Runs one step and returns this party's share of the words of its outputs.
  ///
  /// - Parameters:
  ///   - inputShare: Share of the new input rows, row-major [request.rowCount, inputWidth].
  ///   - request: Its rows, which of the last step stay, and how many outputs it gives.
  ///   - channel: Carries the openings; every `exchange` on it is one flight.
  mutating func step(
    inputShare: [UInt64], _ request: StepRequest, through channel: any OpeningChannel
  )
    throws(InputError) -> [UInt64]
}

extension SessionEngine {
  public var strained: StrainedOperands { StrainedOperands() }

  public mutating func prepare(peer: Connection) throws(InputError) {}
}

/// What a party process has on disk.
public protocol SessionProvider: Sendable {
  var identity: PartyIdentity { get }
  /// The sessions in the correlations folder, used ones included.
  func availableSessions() throws(InputError) -> [SessionDescription]
  /// Opens a session after checking that its file is intact and belongs to this program and party.
  ///
  /// Called before the session is claimed: it must not use any of the randomness.
  /// - Throws: `SessionFault`, which tells a file that is damaged from a machine that fails.
  func openSession(_ session: SessionDescription) throws(SessionFault) -> any SessionEngine
}
