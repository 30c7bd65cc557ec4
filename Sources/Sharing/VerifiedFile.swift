// Digests and headers of any of Lodge's files.

public import Bytes
import Containers
import Foundation
public import Program

/// A file whose digests were all recomputed.
public struct VerifiedFile {
  public let json: JSON
  public let text: String

  /// Verifies a container, or a manifest and the containers beside it that it names.
  public init(path: String) throws(InputError) {
    guard path.hasSuffix(".json") else {
      let inspection = try ContainerInspection(path: path, verifying: true)
      json = inspection.json
      text = inspection.table
      return
    }
    let manifest = try Manifest(path: path)
    var table = TextTable([("file", .left), ("digest", .left), ("state", .left)])
    var states: [String: JSON] = [:]
    for (name, digest) in manifest.files.sorted(by: { $0.key < $1.key }) {
      guard !name.contains("/") else {
        throw InputError(path, place: "files", "\"\(name)\" is not the name of a file beside it")
      }
      let file = "\(FilePaths.folder(of: path))/\(name)"
      var state = "absent"
      if FileManager.default.fileExists(atPath: file) {
        let reader = try ContainerReader(path: file, kind: nil, verifying: true)
        guard reader.digest == digest else {
          throw InputError(file, place: "digest", "is not the file that the manifest names")
        }
        state = "verified"
      }
      states[name] = .string(state)
      table.addRow([name, digest.hexadecimal, state])
    }
    json = ["manifest": manifest.json, "states": .object(states)]
    text = """
      \(table.text)
      conversion \(manifest.conversion.identifier.hexadecimal), program \
      \(manifest.conversion.programDigest.hexadecimal)
      """
  }
}

/// Finds the program in any file that has one.
public enum ProgramFile {
  public static func read(_ path: String) throws(InputError) -> SecureProgram {
    let reader = try ContainerReader(path: path, kind: nil, verifying: false)
    switch reader.kind {
    case "model": return try ModelFile(path: path).program()
    case "bundle": return try PartyBundle(path: path).program
    case "dealer": return try DealerBundle(path: path).program
    default:
      throw InputError(
        path, place: "kind", "a file of kind \(reader.kind) has no program",
        hint: "give a model.lodge, a party's bundle or the dealer's")
    }
  }
}
