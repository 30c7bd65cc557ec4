// Signatures: OpenSSH's tool verifies ours, ours are the bytes that it writes, and nothing else
// counts.

import Bytes
import Foundation
import Randomness
import TestSupport
import Testing
import Trust

struct SignatureTests {
  private let key = PrivateKey(seed: KeyTests.seed)
  private let message = Array("a manifest\n".utf8)

  private func signer(_ text: [UInt8], of message: [UInt8], namespace: String = "test")
    throws(InputError) -> PublicKey
  {
    try Signature.signer(of: message, text: text, namespace: namespace, source: "m.sig")
  }

  @Test func whatIsSignedIsVerified() throws {
    for count in [0, 1, 1000] {
      let message = [UInt8](repeating: 0x61, count: count)
      let text = Signature.text(of: message, namespace: "test", key: key)
      #expect(try signer(text, of: message) == key.publicKey)
      #expect(inputError { _ = try signer(text, of: message + [0]) } != nil)
    }
  }

  @Test func anotherNamespaceIsRefused() {
    let text = Signature.text(of: message, namespace: "file", key: key)
    #expect(
      inputError { _ = try signer(text, of: message) }?.cause
        == "is a signature of something else than a test")
  }

  /// Whatever byte is changed and wherever the text is cut, it is refused.
  @Test func damagedSignaturesAreRefused() throws {
    let text = Signature.text(of: message, namespace: "test", key: key)
    for place in text.indices {
      var changed = text
      changed[place] ^= 1
      let error = inputError { _ = try signer(changed, of: message) }
      #expect(error?.source == "m.sig", "byte \(place)")
    }
    for count in 0..<text.count - 1 {
      #expect(inputError { _ = try signer(Array(text[..<count]), of: message) } != nil)
    }
  }

  @Test(.enabled(if: KeyTests.hasSSHKeygen, "ssh-keygen is not installed"))
  func openSSHSignsTheSameBytes() throws {
    let scratch = try ScratchFolder()
    try key.write(to: scratch.file("key"), comment: "owner")
    let path = try scratch.write(message, to: "m")
    _ = try #require(
      KeyTests.sshKeygen(["-Y", "sign", "-f", scratch.file("key"), "-n", "test", path]))
    let theirs = [UInt8](try Data(contentsOf: URL(filePath: path + ".sig")))
    #expect(Signature.text(of: message, namespace: "test", key: key) == theirs)
    try FileManager.default.removeItem(atPath: path + ".sig")
    _ = try #require(
      KeyTests.sshKeygen(
        [
          "-Y", "sign", "-O", "hashalg=sha256", "-f", scratch.file("key"), "-n", "test", path,
        ]))
    let short = [UInt8](try Data(contentsOf: URL(filePath: path + ".sig")))
    #expect(inputError { _ = try signer(short, of: message) }?.cause == "does not use sha512")
  }

  @Test func signedFilesAreReadByThoseWhoTrust() throws {
    let scratch = try ScratchFolder()
    let path = scratch.file("m.json")
    func read(_ trust: TrustedKeys?) throws(InputError) -> PublicKey? {
      try SignedFile.read(path, atMost: 100, namespace: "test", trust: trust).signer
    }
    let trust = TrustedKeys([key.publicKey, PrivateKey.random().publicKey])
    try SignedFile.write(message, to: path, namespace: "test", key: key)
    #expect(try scratch.names() == ["m.json", "m.json.sig"])
    #expect(try read(trust) == key.publicKey)
    #expect(try read(nil) == nil)
    let other = TrustedKeys([PrivateKey.random().publicKey])
    let error = inputError { _ = try read(other) }
    #expect(error?.source == path + ".sig")
    #expect(error?.cause == "is by the key \(key.publicKey), which is not trusted here")
    _ = try scratch.write(message + [0x20], to: "m.json")
    #expect(
      inputError { _ = try read(trust) }?.cause
        == "does not fit: the file was changed after it was signed")
    // Written without a key, it has no signature left.
    try SignedFile.write(message, to: path, namespace: "test", key: nil)
    #expect(try scratch.names() == ["m.json"])
    #expect(inputError { _ = try read(trust) }?.cause == "is not signed: m.json.sig is missing")
  }
}
