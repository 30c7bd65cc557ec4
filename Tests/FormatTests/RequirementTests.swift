// Every MUST of formats/ has a file that breaks it or a test that is there.

import Bytes
import Foundation
import TestSupport
import Testing

struct RequirementTests {
  /// Rules for which the text says "Not tested" and why.
  private static let notTested: Set = ["S8"]

  /// Names of all vectors that must fail, or that only a reader that breaks the rule refuses.
  private static func vectors() throws -> [String] {
    let files = ["container", "session", "program"].flatMap { FormatVector.all(in: $0) }
    let lists = [("manifest.json", "cases"), ("wire.json", "frames")]
    let entries = try lists.flatMap { file, key in
      let path = "\(FormatVector.folder)/\(file)"
      var reader = try JSONReader(JSON.read(path), source: path)
      return try reader.array(key).map { element in
        var reader = try JSONReader(element, source: path)
        return try reader.string("name")
      }
    }
    return files.map(\.name) + entries
  }

  /// All tests there are, as `Suite.function`.
  private static func tests() throws -> Set<String> {
    var result: Set<String> = []
    let root = Repository.root.appending(path: "Tests")
    let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
    while let url = files?.nextObject() as? URL {
      guard url.lastPathComponent.hasSuffix("Tests.swift") else { continue }
      var suite = ""
      var isTest = false
      for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") {
        // Types inside others are indented.
        if !line.hasPrefix(" "),
          let match = line.firstMatch(of: /\b(?:struct|class|extension) (\w+)/)
        {
          suite = String(match.1)
        }
        if line.contains("@Test") { isTest = true }
        if isTest, let match = line.firstMatch(of: /\bfunc (\w+)\(/) {
          result.insert("\(suite).\(match.1)")
          isTest = false
        }
      }
    }
    return result
  }

  @Test func everyRequirementHasAVectorOrATest() throws {
    let rules = try Requirement.all().rules
    let vectors = try Self.vectors()
    let tests = try Self.tests()
    #expect(rules.count > 70 && tests.count > 300)
    for rule in rules {
      for test in rule.tests {
        let isThere = tests.contains(test)
        #expect(isThere, "\(rule.name) names \(test), which is not there")
      }
      let count = vectors.count { $0.hasPrefix("\(rule.name)-") } + rule.tests.count
      if rule.isNotTested {
        #expect(Self.notTested.contains(rule.name), "\(rule.name) has become without a test")
      } else {
        #expect(
          count >= rule.mustCount,
          "\(rule.file): \(rule.name) demands \(rule.mustCount) things, \(count) are tested")
      }
    }
  }

  @Test func everyDemandIsARule() throws {
    let (rules, strays) = try Requirement.all()
    #expect(strays.isEmpty)
    let repeated = Dictionary(grouping: rules, by: \.name).filter { $0.value.count > 1 }.keys
    #expect(repeated.isEmpty, "two rules of one name")
  }

  /// A vector that names no rule breaks nothing.
  @Test func everyVectorBelongsToARule() throws {
    let names = Set(try Requirement.all().rules.map(\.name))
    for vector in try Self.vectors() where !vector.hasPrefix("valid-") {
      #expect(names.contains(String(vector.prefix { $0 != "-" })), "\(vector)")
    }
    for folder in ["container", "session", "program"] {
      let files = try FileManager.default.contentsOfDirectory(
        atPath: "\(FormatVector.folder)/\(folder)")
      #expect(files.count == FormatVector.all(in: folder).reduce(0) { $0 + $1.files.count })
    }
  }

  /// The texts of binary formats have the parts that a reader needs.
  @Test(arguments: ["bundle", "container", "correlations", "program", "randomness"])
  func textsHaveTheirParts(name: String) throws {
    let text = try String(
      contentsOf: Repository.root.appending(path: "formats/\(name).md"), encoding: .utf8)
    for part in ["## Conventions", "## Example", "## Security considerations", "\n|---"] {
      #expect(text.contains(part), "\(name).md has no \(part)")
    }
  }
}
