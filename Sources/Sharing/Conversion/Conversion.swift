// What ties the files of one conversion together: its identifier and its program.

import Bytes
public import Program
import Randomness

/// Names one run of `lodge-model share`; files of two conversions never fit together.
public struct Conversion: Equatable, Sendable {
  /// 16 random bytes.
  public var identifier: [UInt8]
  /// SHA-256 of the program's canonical JSON text.
  public var programDigest: [UInt8]
  /// Who the parties and the dealer are.
  public var deployment: Deployment

  public init(
    identifier: [UInt8], programDigest: [UInt8], deployment: Deployment = .twoServer
  ) {
    self.identifier = identifier
    self.programDigest = programDigest
    self.deployment = deployment
  }

  /// Where the deployment is left out it is `twoServer`.
  var members: [String: JSON] {
    var members: [String: JSON] = [
      "conversion": .string(identifier.hexadecimal),
      "programDigest": .string(programDigest.hexadecimal),
    ]
    if deployment != .twoServer { members["deployment"] = .string(deployment.rawValue) }
    return members
  }

  /// Reads what a header or manifest says; some have to say the deployment.
  init(_ reader: inout JSONReader, requiresDeployment: Bool = false) throws(InputError) {
    identifier = try reader.hexadecimal("conversion", byteCount: 16)
    programDigest = try reader.hexadecimal("programDigest", byteCount: 32)
    deployment = .twoServer
    guard requiresDeployment || reader.contains("deployment") else { return }
    let name = try reader.string("deployment")
    guard let deployment = Deployment(rawValue: name) else {
      let known = Deployment.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw reader.failure("deployment", "\"\(name)\" is none of \(known)")
    }
    guard requiresDeployment || deployment != .twoServer else {
      throw reader.failure("deployment", "is left out where it is \"two-server\"")
    }
    self.deployment = deployment
  }
}

extension SecureProgram {
  /// SHA-256 of the canonical JSON text.
  public var digest: [UInt8] { SHA256.digest(Array(json.text.utf8)) }
}
