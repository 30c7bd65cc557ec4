// formats/vectors/manifest.json: every manifest fails where its vector says, or not at all.

import Bytes
import Containers
import Foundation
import Randomness
import Sharing
import TestSupport
import Testing
import Trust

struct ManifestVectorTests {
  struct Case: Sendable {
    var name: String
    var manifest: String
    var signature: String?
    var files: [String: [UInt8]]
    var fails: String?

    /// Writes the files of the case and returns the path of the manifest.
    func write(to folder: ScratchFolder) throws -> String {
      for (name, bytes) in files { _ = try folder.write(bytes, to: name) }
      let name = files.keys.contains { $0.hasSuffix(".corr") } ? "000003.json" : "manifest.json"
      if let signature { _ = try folder.write(signature.utf8, to: "\(name).sig") }
      return try folder.write(manifest.utf8, to: name)
    }
  }

  static let path = Repository.root.appending(path: "formats/vectors/manifest.json").path

  static func load() throws -> (trusted: String, secret: [UInt8], cases: [Case]) {
    var reader = try JSONReader(JSON.read(path), source: path)
    let trusted = try reader.string("trusted")
    let secret = try reader.hexadecimal("secret", byteCount: 32)
    let cases = try reader.array("cases").map { element in
      var reader = try JSONReader(element, source: path)
      var files: [String: [UInt8]] = [:]
      guard case .object(let members) = try reader.value("files") else {
        throw reader.failure("files", "no object")
      }
      for (name, value) in members {
        guard case .string(let text) = value, let bytes = [UInt8](hexadecimal: text) else {
          throw reader.failure("files", "no bytes")
        }
        files[name] = bytes
      }
      func optional(_ value: JSON) -> String? {
        if case .string(let text) = value { text } else { nil }
      }
      return Case(
        name: try reader.string("name"), manifest: try reader.string("manifest"),
        signature: optional(try reader.value("signature")), files: files,
        fails: optional(try reader.value("fails")))
    }
    try reader.finish()
    return (trusted, secret, cases)
  }

  /// Where the manifest at `path` is refused.
  private func failure(_ path: String, _ trust: TrustedKeys) throws -> (stage: String, InputError)?
  {
    do throws(InputError) {
      _ = try SignedFile.read(
        path, atMost: 1 << 20, namespace: "lodge-manifest", trust: trust)
    } catch {
      return ("signature", error)
    }
    let files: [String: FileEntry]
    do throws(InputError) {
      if path.hasSuffix("manifest.json") {
        files = try Manifest(path: path, trust: trust).files
      } else {
        let manifest = try SessionManifest(path: path, trust: trust)
        files = [manifest.name: manifest.entry]
      }
    } catch {
      return ("manifest", error)
    }
    for (name, entry) in files {
      // These are no containers: libhdf5 has a word only where the bytes are the right ones.
      let file = "\(FilePaths.folder(of: path))/\(name)"
      let error = inputError {
        if let sealed = entry.sealed, FilePaths.exists(file + AgeTool.suffix) {
          return try sealed.check(path: file + AgeTool.suffix)
        }
        _ = try ContainerReader(path: file, kind: nil, expecting: entry.file)
      }
      if let error, error.cause.contains("manifest") { return ("file", error) }
    }
    return nil
  }

  @Test func everyCaseFailsWhereItShould() throws {
    let (trusted, secret, cases) = try Self.load()
    let trust = try TrustedKeys(textOrPath: trusted)
    #expect(PrivateKey(seed: Seed(bytes: secret)).publicKey.text == trusted)
    #expect(cases.count { $0.fails == nil } == 7)
    for stage in ["signature", "manifest", "file"] {
      #expect(cases.contains { $0.fails == stage })
    }
    for vector in cases {
      let folder = try ScratchFolder()
      let path = try vector.write(to: folder)
      let found = try failure(path, trust)
      #expect(found?.stage == vector.fails, "\(vector.name): \(String(describing: found))")
      // The error names a file of the case.
      if let found { #expect(found.1.source.hasPrefix(folder.path), "\(vector.name)") }
      if vector.fails == nil {
        let key = PrivateKey(seed: Seed(bytes: secret))
        let text = Signature.text(
          of: Array(vector.manifest.utf8), namespace: "lodge-manifest", key: key)
        #expect(String(decoding: text, as: UTF8.self) == vector.signature)
      }
    }
  }

  /// The second implementation agrees, case by case.
  @Test(.needsPython) func pythonFailsInTheSamePlaces() throws {
    let (trusted, _, cases) = try Self.load()
    for vector in cases {
      let folder = try ScratchFolder()
      let path = try vector.write(to: folder)
      let keys = try folder.write("\(trusted)\n".utf8, to: "trusted.pub")
      let outcome = try PythonTool("check-manifest").run(["--trust", keys, path])
      #expect((outcome.status == 0) == (vector.fails == nil), "\(vector.name): \(outcome.errors)")
    }
  }
}
