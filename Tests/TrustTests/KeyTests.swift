// Keys and their files: what is written is read back, by OpenSSH's own tool as well.

import Bytes
import Foundation
import Randomness
import TestSupport
import Testing
import Trust

struct KeyTests {
  static let seed = Seed(bytes: (0..<32).map { UInt8($0) })

  /// Runs ssh-keygen and returns what it printed; nil where it is not installed or fails.
  static func sshKeygen(_ arguments: [String]) -> String? {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/ssh-keygen")
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? String(decoding: output, as: UTF8.self) : nil
  }

  static let hasSSHKeygen = FileManager.default.isExecutableFile(atPath: "/usr/bin/ssh-keygen")

  static func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return attributes[.posixPermissions] as? Int ?? -1
  }

  /// The public key of the secret 00 01 ... 1f, computed with Python's `cryptography`.
  @Test func publicKeyOfAKnownSecret() {
    let key = PrivateKey(seed: Self.seed).publicKey
    #expect(
      key.bytes.hexadecimal
        == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
    #expect(
      key.text
        == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4")
  }

  @Test func filesRoundTrip() throws {
    let scratch = try ScratchFolder()
    let path = scratch.file("party0.key")
    let key = PrivateKey.random()
    try key.write(to: path, comment: "party 0")
    #expect(try Self.mode(path) == 0o600)
    #expect(try PrivateKey(path: path).publicKey == key.publicKey)
    #expect(try PublicKey(textOrPath: path + ".pub") == key.publicKey)
    #expect(try PublicKey(textOrPath: key.publicKey.text + " somebody") == key.publicKey)
    #expect(try PrivateKey.isKeyFile(path))
    #expect(try !PrivateKey.isKeyFile(path + ".pub"))
    // Nothing is overwritten, not even half a pair.
    try FileManager.default.removeItem(atPath: path)
    let error = inputError { try key.write(to: path, comment: "") }
    #expect(error?.source == path + ".pub")
    #expect(error?.cause == "exists already")
    #expect(try scratch.names() == ["party0.key.pub"])
  }

  @Test func nothingShowsTheSecret() {
    let key = PrivateKey(seed: Self.seed)
    var dumped = ""
    dump(key, to: &dumped)
    for text in ["\(key)", String(reflecting: key), dumped] {
      #expect(!text.contains("000102"))
      #expect(!text.contains("AAEC"))
      #expect(!text.contains("Seed"))
    }
    #expect("\(key)" == "PrivateKey(\(key.publicKey.fingerprint))")
  }

  @Test(.enabled(if: hasSSHKeygen, "ssh-keygen is not installed"))
  func openSSHReadsOursAndWeReadItsFiles() throws {
    let scratch = try ScratchFolder()
    let ours = scratch.file("ours")
    let key = PrivateKey.random()
    try key.write(to: ours, comment: "ours")
    #expect(Self.sshKeygen(["-y", "-f", ours]) == "\(key.publicKey.text) ours\n")
    let listing = try #require(Self.sshKeygen(["-l", "-f", ours + ".pub"]))
    #expect(listing.contains(" \(key.publicKey.fingerprint) ours"))

    for comment in ["", "a", "ab", "a longer comment", "1234567"] {
      let theirs = scratch.file("theirs-\(comment.count)")
      _ = try #require(
        Self.sshKeygen(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", theirs]))
      let line = try String(contentsOfFile: theirs + ".pub", encoding: .utf8)
      #expect(line.hasPrefix(try PrivateKey(path: theirs).publicKey.text))
    }
    let locked = scratch.file("locked")
    _ = Self.sshKeygen(["-q", "-t", "ed25519", "-N", "secret", "-f", locked])
    #expect(
      inputError { _ = try PrivateKey(path: locked) }?.cause.hasPrefix("is protected by") == true)
    let other = scratch.file("other")
    _ = Self.sshKeygen(["-q", "-t", "ecdsa", "-N", "", "-f", other])
    #expect(
      inputError { _ = try PrivateKey(path: other) }?.cause
        == "is not a key of the kind ssh-ed25519")
    #expect(
      inputError { _ = try PublicKey(textOrPath: other + ".pub") }?.cause
        == "is not a key of the kind ssh-ed25519")
  }

  /// Whatever byte is changed and wherever the file is cut, it is refused or gives the same key.
  @Test func damagedFilesAreRefused() throws {
    let scratch = try ScratchFolder()
    let path = scratch.file("key")
    let key = PrivateKey(seed: Self.seed)
    try key.write(to: path, comment: "c")
    let text = [UInt8](try Data(contentsOf: URL(filePath: path)))
    var sameCount = 0
    func expectRefusal(_ bytes: [UInt8], _ what: String) throws {
      try AtomicFile.write(bytes, to: path)
      do {
        // Parts of the file, such as the comment, do not matter.
        #expect(try PrivateKey(path: path).publicKey == key.publicKey, "\(what)")
        sameCount += 1
      } catch {
        #expect(error.source == path)
      }
    }
    for place in text.indices {
      var changed = text
      changed[place] ^= 1
      try expectRefusal(changed, "byte \(place)")
    }
    #expect(sameCount < text.count / 10)
    sameCount = 0
    for count in 0..<text.count - 1 { try expectRefusal(Array(text[..<count]), "cut at \(count)") }
    #expect(sameCount == 0)
  }

  @Test func keysThatOthersMayReadAreRefused() throws {
    let scratch = try ScratchFolder()
    let path = scratch.file("key")
    try PrivateKey.random().write(to: path, comment: "")
    for mode in [0o640, 0o604, 0o660] {
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
      let error = inputError { _ = try PrivateKey(path: path) }
      #expect(error?.cause == "is a private key that others may read")
      #expect(error?.hint == "run 'chmod 600 \(path)'")
    }
  }

  @Test func listsOfPublicKeys() throws {
    let scratch = try ScratchFolder()
    let keys = (0..<3).map { _ in PrivateKey.random().publicKey }
    let list = """
      # clients
      \(keys[0].text) anna

        \(keys[1].text)
      \(keys[2].text) a name of several words
      """
    let path = try scratch.write(list.utf8, to: "clients")
    #expect(try PublicKey.list(path: path) == keys)
    #expect(inputError { _ = try PublicKey(textOrPath: path) }?.cause.hasPrefix("holds 3") == true)
    for (text, place, cause) in [
      ("\n# none\n", "", "holds no public key"),
      ("\(keys[0].text)\nssh-ed25519\n", "line 2", "is not a public key"),
      ("ssh-ed25519 AAAA", "line 1", "is a damaged public key"),
      ("\(keys[0].text.dropLast(4))", "line 1", "is a damaged public key"),
      ("\(keys[0].text)AAAA", "line 1", "is a damaged public key"),
      ("age1qqqq", "line 1", "is not a public key"),
      ("-----BEGIN OPENSSH PRIVATE KEY-----", "", "is a private key, a public key is expected"),
    ] {
      let path = try scratch.write(text.utf8, to: "wrong")
      let error = inputError { _ = try PublicKey.list(path: path) }
      #expect(error?.source == path)
      #expect(error?.place == place)
      #expect(error?.cause == cause)
    }
  }

  /// A list that somebody has to keep for years is read with either end of lines.
  @Test func linesMayEndAsOnOtherSystems() throws {
    let scratch = try ScratchFolder()
    let key = PrivateKey.random()
    let path = try scratch.write("\(key.publicKey.text) windows\r\n\r\n".utf8, to: "crlf")
    #expect(try PublicKey.list(path: path) == [key.publicKey])
  }
}
