// Sealed files: Debian's age opens ours and we open its files, with keys of either kind.

import Bytes
import Containers
import Foundation
import Glibc
import TestSupport
import Testing
import Trust

@Suite(.needsAge) struct AgeTests {
  private let scratch: ScratchFolder
  /// Paths of private keys, and the public keys of them.
  private let identities: [String]
  private let recipients: [AgeRecipient]
  /// Holds `content`.
  private let plaintext: AnonymousFile
  /// 1 MB and a bit, so that age has several chunks to write.
  private static let content = (0..<1_100_000).map {
    UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7)
  }

  init() throws {
    scratch = try ScratchFolder()
    let ours = scratch.file("party.key")
    try PrivateKey.random().write(to: ours, comment: "")
    let theirs = scratch.file("age.key")
    let openPath = try scratch.write(AgeKeys.make(at: theirs).utf8, to: "age.key.pub")
    identities = [ours, theirs]
    recipients = try [ours + ".pub", openPath].map { try AgeRecipient(textOrPath: $0) }
    plaintext = try AnonymousFile(.memory, name: "plaintext")
    let count = unsafe Self.content.withUnsafeBytes {
      unsafe write(plaintext.descriptor, $0.baseAddress, $0.count)
    }
    try #require(count == Self.content.count)
    plaintext.rewind()
  }

  private func read(_ file: AnonymousFile) -> [UInt8] {
    file.rewind()
    return [UInt8](
      FileHandle(fileDescriptor: file.descriptor, closeOnDealloc: false)
        .readDataToEndOfFile())
  }

  @Test(arguments: [0, 1])
  func filesRoundTrip(kind: Int) throws {
    let path = scratch.file("sealed.age")
    try AgeTool.check(recipients[kind])
    let names = try scratch.names()
    try AgeTool.seal(plaintext.descriptor, for: recipients[kind], to: path)
    #expect(try Set(scratch.names()) == Set(names + ["sealed.age"]))
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    // By age itself, and by us.
    #expect(
      try AgeKeys.run("age", ["-d", "-i", identities[kind], path]).map { [UInt8]($0) }
        == Self.content)
    let opened = try AnonymousFile(.memory, name: "opened")
    try AgeTool.unseal(path, identity: identities[kind], to: opened.descriptor)
    #expect(read(opened) == Self.content)
    // Another key does not open it.
    let error = inputError {
      try AgeTool.unseal(path, identity: identities[1 - kind], to: opened.descriptor)
    }
    #expect(error?.source == path)
    #expect(error?.cause == "age cannot open it: no identity matched any of the recipients")
    #expect(error?.hint.contains(identities[1 - kind]) == true)
  }

  @Test func whatAgeSealsIsOpened() throws {
    let plain = try scratch.write(Self.content, to: "plain")
    for kind in 0...1 {
      let open = try String(contentsOfFile: identities[kind] + ".pub", encoding: .utf8)
      let recipient = open.trimmingCharacters(in: .whitespacesAndNewlines)
      let sealed = try #require(try AgeKeys.run("age", ["-r", recipient], input: plain))
      let path = try scratch.write(sealed, to: "theirs.age")
      let opened = try AnonymousFile(.memory, name: "opened")
      try AgeTool.unseal(path, identity: identities[kind], to: opened.descriptor)
      #expect(read(opened) == Self.content)
    }
  }

  @Test func damagedFilesAreRefused() throws {
    let path = scratch.file("sealed.age")
    try AgeTool.seal(plaintext.descriptor, for: recipients[0], to: path)
    let sealed = [UInt8](try Data(contentsOf: URL(filePath: path)))
    var changed = sealed
    changed[sealed.count - 10] ^= 1
    for bytes in [
      changed, Array(sealed.dropLast(20)), Array(sealed.prefix(600_000)), [], Self.content,
    ] {
      _ = try scratch.write(bytes, to: "sealed.age")
      let opened = try AnonymousFile(.memory, name: "opened")
      let error = inputError {
        try AgeTool.unseal(path, identity: identities[0], to: opened.descriptor)
      }
      #expect(error?.source == path)
      #expect(error?.cause.hasPrefix("age cannot open it: ") == true)
    }
  }

  @Test func whatCannotBeSealedLeavesNothing() throws {
    let names = try scratch.names()
    let nobody = try AgeRecipient(textOrPath: "age1qqqqqqqqqqqqqqqqqqqqqq")
    #expect(inputError { try AgeTool.check(nobody) }?.cause.contains("age does not take") == true)
    let error = inputError {
      try AgeTool.seal(plaintext.descriptor, for: nobody, to: scratch.file("sealed.age"))
    }
    #expect(error?.cause.hasPrefix("age cannot seal it: ") == true)
    #expect(try scratch.names() == names)
    let folder = scratch.file("absent/sealed.age")
    #expect(
      inputError { try AgeTool.seal(plaintext.descriptor, for: recipients[0], to: folder) }
        != nil)
  }

  @Test func recipientsAreReadFromTextsAndFiles() throws {
    let key = PrivateKey.random().publicKey
    for text in [key.text, "\(key.text) with a comment", "age1abc"] {
      let recipient = try AgeRecipient(textOrPath: text)
      let path = try scratch.write("# party\n\(text)\n".utf8, to: "recipient")
      #expect(try AgeRecipient(textOrPath: path) == recipient)
    }
    for text in ["", "ssh-rsa AAAA", "age1a\nage1b", "\(key.text)\n\(key.text)"] {
      let path = try scratch.write(text.utf8, to: "recipient")
      #expect(
        inputError { _ = try AgeRecipient(textOrPath: path) }?.cause
          == "does not hold one public key of age or SSH")
    }
    #expect(inputError { _ = try AgeRecipient(textOrPath: "/absent") }?.source == "/absent")
  }
}
