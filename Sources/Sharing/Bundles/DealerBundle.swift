// dealer.bundle: the program and the weights that the dealer multiplies, masked or not.

public import Bytes
import Containers
public import Program
import Trust

/// What a dealer needs: of the owner's weights those themselves, of a blind dealer W - D.
public struct DealerBundle: Sendable {
  public let path: String
  public let conversion: Conversion
  public let program: SecureProgram
  private let reader: ContainerReader

  static let fileName = "dealer.bundle"

  /// Opens the dealer's bundle in `folder`, which `lodge-model share` wrote.
  ///
  /// - Throws: `InputError` also where a blind dealer's folder holds what would open its eyes.
  public static func open(in folder: String) throws(InputError) -> DealerBundle {
    if let bundle = try ofOwner(in: folder) { return bundle }
    let bundle = try FileKind.expecting(.shares, at: folder) { () throws(InputError) in
      try DealerBundle(path: "\(folder)/\(fileName)")
    }
    try bundle.refuseBundles(in: folder)
    return bundle
  }

  /// The dealer's bundle of the owner in `folder`, where that holds the folders of all roles.
  ///
  /// - Throws: `InputError` where the dealer is blind.
  private static func ofOwner(in folder: String) throws(InputError) -> DealerBundle? {
    let below = RoleFolders(path: folder, deployment: .twoServer).dealer
    guard !exists("\(folder)/\(fileName)"), exists("\(below)/\(fileName)") else { return nil }
    let bundle = try DealerBundle(path: "\(below)/\(fileName)")
    guard bundle.conversion.deployment.isDealerBlind else { return bundle }
    throw InputError(
      folder, "holds the files of all roles: whoever deals must not have those of a party",
      hint: "give \(below), best on the dealer's own machine")
  }

  /// Throws where the bundle of a party lies beside that of a blind dealer, or below it.
  private func refuseBundles(in folder: String) throws(InputError) {
    let deployment = conversion.deployment
    guard deployment.isDealerBlind else { return }
    for party in 0...1 {
      let name = deployment.bundleName(ofParty: party)
      for path in ["\(folder)/\(name)", "\(folder)/\(deployment.folder(ofParty: party))/\(name)"]
      where DealerBundle.exists(path) {
        throw InputError(
          path, "lies beside the dealer's bundle: with both, whoever deals knows the weights",
          hint: "remove it here, and convert anew if somebody else could have read both")
      }
    }
  }

  private static func exists(_ path: String) -> Bool {
    FilePaths.exists(path) || FilePaths.exists(path + AgeTool.suffix)
  }

  /// Opens a bundle and verifies all its digests.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader.open(path, .dealer)
    var header = try JSONReader(reader.header, source: path)
    self.path = path
    conversion = try Conversion(&header)
    program = try SecureProgram(json: header.value("program"), source: path)
    try header.finish()
    guard program.digest == conversion.programDigest else {
      throw InputError(path, place: "programDigest", "is not the digest of the program")
    }
    try reader.requireExactly(
      program.multipliedWeights.map { "weights/\($0)" } + [Salt.name])
    try Salt.check(reader)
    self.reader = reader
  }

  /// Every element of weight `id` is a signed integer of so many bits: 16, 32 or 64.
  public func elementBits(_ id: WeightID) throws(InputError) -> Int {
    8 * (try PlainWeight(id, of: program, in: reader).elementType.byteCount)
  }

  /// Elements `range` of weight `id`, counted row-major, as ring elements; masked for a blind dealer.
  public func elements(_ id: WeightID, in range: Range<Int>) throws(InputError) -> [UInt64] {
    try PlainWeight(id, of: program, in: reader).elements(in: range)
  }

  /// Weight `id` as row-major ring elements.
  public func weight(_ id: WeightID) throws(InputError) -> [UInt64] {
    try elements(id, in: 0..<program.weights[id].elementCount)
  }
}
