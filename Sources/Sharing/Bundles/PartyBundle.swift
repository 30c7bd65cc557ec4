// The bundles of the two parties: the program and one party's weight shares or seeds.

public import Bytes
import Containers
public import Program
import Randomness

/// How a party holds its share of a weight.
public enum ShareStorage: String, Sendable, CaseIterable {
  /// Expanded from the party's weight seed.
  case seed
  /// Written out.
  case full
  /// The weight itself, in the narrowest integers that hold it; the other party has nothing.
  case plain
  /// Zero, beside the weight itself.
  case nothing
}

/// One party's half of a conversion.
public struct PartyBundle: Sendable {
  public let path: String
  public let party: Int
  public let conversion: Conversion
  public let program: SecureProgram
  public let storages: [ShareStorage]
  private let seed: Seed?
  private let maskSeed: Seed?
  private let reader: ContainerReader
  private let linearWeights: Set<WeightID>

  /// Streams of weight shares do not belong to a session; their labels carry this number.
  static let weightSession: UInt32 = .max

  /// Share of weight `id` that the seed of `party` gives.
  static func seedShare(_ seed: Seed, party: Int, weight id: WeightID) -> RandomStream {
    RandomStream(
      seed: seed,
      label: StreamLabel(
        session: weightSession, party: UInt8(party), operation: UInt32(id),
        kind: StreamKind.weight.rawValue, index: 0))
  }

  /// Opens a bundle, which may be sealed, and compares all of it with its signed manifest or, where
  /// no signature is asked for, with the digests in it.
  public init(path: String, access: FileAccess = .plain) throws(InputError) {
    let reader = try access.reader(
      path, kind: "bundle", entry: access.entry(ofBundle: path))
    var header = try JSONReader(reader.header, source: path)
    self.path = path
    party = try header.integer("party", in: 0...1)
    conversion = try Conversion(&header, requiresDeployment: true)
    let deployment = conversion.deployment
    program = try SecureProgram(json: header.value("program"), source: path)
    guard program.digest == conversion.programDigest else {
      throw header.failure("programDigest", "is not the digest of the program")
    }
    var storages: [ShareStorage] = []
    for element in try header.array("storages") {
      guard case .string(let text) = element, let storage = ShareStorage(rawValue: text) else {
        let known = ShareStorage.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        throw header.failure("storages", "expected one of \(known) for each weight")
      }
      let expected: [ShareStorage] =
        deployment == .providerUser ? [party == 0 ? .plain : .nothing] : [.seed, .full]
      guard expected.contains(storage) else {
        throw header.failure(
          "storages", "\"\(text)\" is not for \(deployment.role(ofParty: party))")
      }
      storages.append(storage)
    }
    try header.finish()
    guard storages.count == program.weights.count else {
      throw header.failure(
        "storages", "\(storages.count) entries for \(program.weights.count) weights")
    }
    self.storages = storages
    let written = storages.indices.filter { [.full, .plain].contains(storages[$0]) }
    let seeds = PartyBundle.seeds(deployment)
    try reader.requireExactly(seeds + written.map { "weights/\($0)" })
    func seed(_ name: String) throws(InputError) -> Seed? {
      guard seeds.contains(name) else { return nil }
      return Seed(bytes: try reader.read(name, as: UInt8.self, shape: [Seed.byteCount]))
    }
    self.seed = try seed(PartyBundle.weightSeedName)
    maskSeed = try seed(PartyBundle.maskSeedName)
    self.reader = reader
    linearWeights = program.linearWeights
  }

  static let weightSeedName = "weightSeed"
  static let maskSeedName = "maskSeed"

  /// Names of the seeds that a party's bundle holds.
  static func seeds(_ deployment: Deployment) -> [String] {
    switch deployment {
    case .twoServer: [weightSeedName]
    case .blindDealer: [weightSeedName, maskSeedName]
    case .providerUser: [maskSeedName]
    }
  }

  /// D of every weight, where the dealer is blind: what both parties have and the dealer lacks.
  public var weightMasks: WeightMasks? { maskSeed.map(WeightMasks.init) }

  /// This party's share of weight `id`, in as little memory as what reads it allows.
  public func heldShare(_ id: WeightID) throws(InputError) -> HeldWeight {
    let weight = program.weights[id]
    if storages[id] == .plain, linearWeights.contains(id),
      let halves = try PlainWeight(id, of: program, in: reader).halves(in: 0..<weight.elementCount)
    {
      return HeldWeight(halves, of: weight)
    }
    return .words(try share(id))
  }

  /// This party's share of weight `id`, row-major ring elements; empty where it is zero.
  public func share(_ id: WeightID) throws(InputError) -> [UInt64] {
    let weight = program.weights[id]
    switch storages[id] {
    case .full:
      return try reader.read(
        "weights/\(id)", as: UInt64.self, shape: [weight.rowCount, weight.columnCount])
    case .plain:
      return try PlainWeight(id, of: program, in: reader).elements(in: 0..<weight.elementCount)
    case .nothing: return []
    case .seed:
      guard let seed else { return [] }
      return PartyBundle.seedShare(seed, party: party, weight: id)
        .words(at: 0, count: weight.elementCount)
    }
  }
}
