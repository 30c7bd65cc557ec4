// Python packages come with hashes, and are installed with these only.

import Foundation
import TestSupport
import Testing

struct PackageHashTests {
  private static func text(_ name: String) throws -> String {
    try String(contentsOf: Repository.root.appending(path: "tools/\(name)"), encoding: .utf8)
  }

  @Test func everyPackageHasHashes() throws {
    // One line a package: what ends in a backslash goes on.
    let lines = try Self.text("requirements.txt").replacing("\\\n", with: "").split(separator: "\n")
    let packages = lines.filter { !$0.hasPrefix("#") }
    #expect(packages.count > 10)
    for package in packages {
      let words = package.split(separator: " ")
      #expect(words[0].contains("=="), "\(words[0])")
      #expect(words.count > 1, "\(words[0])")
      for hash in words.dropFirst() {
        #expect(hash.wholeMatch(of: /--hash=sha256:[0-9a-f]{64}/) != nil, "\(words[0]): \(hash)")
      }
    }
  }

  @Test func setupAsksForHashes() throws {
    for line in try Self.text("setup").replacing("\\\n", with: "").split(separator: "\n")
    where line.contains("pip install") && !line.contains("hint") {
      #expect(line.contains("--require-hashes"), "\(line)")
    }
  }
}
