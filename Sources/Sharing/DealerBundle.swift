// dealer.bundle: the program and, where the owner is the dealer, the weights it multiplies.

public import Bytes
import Containers
public import Program

/// What the dealer of a two-server conversion needs. It holds the owner's plaintext weights.
public struct DealerBundle: Sendable {
  public let path: String
  public let conversion: Conversion
  public let program: SecureProgram
  private let reader: ContainerReader

  /// Opens a bundle and verifies all its digests.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader(path: path, kind: "dealer", verifying: true)
    var header = try JSONReader(reader.header, source: path)
    self.path = path
    conversion = try Conversion(&header)
    program = try SecureProgram(json: header.value("program"), source: path)
    try header.finish()
    guard program.digest == conversion.programDigest else {
      throw InputError(path, place: "programDigest", "is not the digest of the program")
    }
    self.reader = reader
  }

  /// Weight `id` as row-major ring elements.
  public func weight(_ id: WeightID) throws(InputError) -> [UInt64] {
    let weight = program.weights[id]
    return try reader.read(
      "weights/\(id)", as: Int64.self, shape: [weight.rowCount, weight.columnCount]
    ).map { UInt64(bitPattern: $0) }
  }

  /// All weights that the dealer multiplies; the others are empty.
  public func weights() throws(InputError) -> [[UInt64]] {
    var result = [[UInt64]](repeating: [], count: program.weights.count)
    for id in program.multipliedWeights { result[id] = try weight(id) }
    return result
  }
}
