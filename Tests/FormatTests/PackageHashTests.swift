// Python packages come with hashes, and are installed with these only.

import Foundation
import TestSupport
import Testing

struct PackageHashTests {
  private static func text(_ name: String) throws -> String {
    try String(contentsOf: Repository.root.appending(path: "tools/\(name)"), encoding: .utf8)
  }

  @Test(arguments: [("requirements.txt", 10), ("development/requirements.txt", 1)])
  func everyPackageHasHashes(list: String, least: Int) throws {
    // One line a package: what ends in a backslash goes on.
    let lines = try Self.text(list).replacing("\\\n", with: "").split(separator: "\n")
    let packages = lines.filter { !$0.hasPrefix("#") }
    #expect(packages.count >= least)
    for package in packages {
      let words = package.split(separator: " ")
      #expect(words[0].contains("=="), "\(words[0])")
      #expect(words.count > 1, "\(words[0])")
      // Behind a semicolon: where the package is of use.
      for hash in words.dropFirst().filter({ $0.hasPrefix("--") }) {
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
