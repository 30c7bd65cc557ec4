// The commands of the README's path, as they stand there.

import Foundation
import TestSupport
import Testing

@Suite struct ReadmeTests {
  /// The indented block below `heading`, a command a line.
  private static func commands(below heading: String) throws -> [[String]] {
    let readme = try String(
      contentsOf: Repository.root.appending(path: "README.md"), encoding: .utf8)
    let section = readme.components(separatedBy: "\n\(heading)\n").dropFirst().first ?? ""
    let lines = section.components(separatedBy: "\n## ")[0].components(separatedBy: "\n")
      .filter { $0.hasPrefix("    ") }
    let block = lines.map { $0.dropFirst(4) }.joined(separator: "\n").replacing("\\\n", with: " ")
    return block.split(separator: "\n").map { words(of: $0) }
  }

  /// Words of a shell's line: quotes are the only thing that is special; comments end it.
  private static func words(of line: Substring) -> [String] {
    var words: [String] = []
    var isQuoted = false
    var isOpen = false
    for character in line {
      switch character {
      case "'":
        isQuoted.toggle()
        if isQuoted, !isOpen { words.append("") }
        isOpen = true
      case "#" where !isQuoted && !isOpen: return words
      case " " where !isQuoted: isOpen = false
      default:
        if !isOpen { words.append("") }
        isOpen = true
        words[words.count - 1].append(character)
      }
    }
    return words
  }

  /// From the checkpoint to an answer in text. Ports are the system's choice here.
  @Test func thePathLeadsToAnAnswer() throws {
    let commands = try Self.commands(below: "## The path")
    #expect(
      commands.map(\.[0]) == [
        "lodge-model", "lodge-deal", "lodge-party", "lodge-party", "lodge-client",
      ])
    try #require(commands.count == 5)
    let folder = try ScratchFolder()
    let out = folder.file("served")
    var addresses: [String: String] = [:]
    func arguments(_ index: Int) -> [String] {
      commands[index].dropFirst().map { word in
        if word.hasPrefix("Tests/") { return Repository.root.appending(path: word).path }
        if word == "served" || word.hasPrefix("served/") { return out + word.dropFirst(6) }
        guard word.hasPrefix("127.0.0.1:") else { return word }
        return addresses[word] ?? "127.0.0.1:0"
      }
    }
    try Tool.succeed("lodge-model", arguments(0))
    try Tool.succeed("lodge-deal", arguments(1))
    var parties: [PartyProcess] = []
    for party in 0...1 {
      let words = arguments(2 + party)
      let listen = try #require(words.firstIndex(of: "--listen"))
      let process = try PartyProcess(
        arguments: Array(words[..<(listen + 2)]), party,
        peer: parties.first?.address ?? "127.0.0.1:0")
      addresses[commands[2 + party][listen + 2]] = process.address
      parties.append(process)
    }
    let answer = try Tool.succeed("lodge-client", arguments(4))
    // 32 tokens of Dickens, more or less.
    #expect(answer.count > 40 && answer.contains(" "), "\(answer)")
    #expect(!answer.contains("[") && !answer.contains("Ġ"))
    for party in parties { try party.stop() }
  }

  /// Two pages.
  @Test func theREADMEIsShort() throws {
    let readme = try String(
      contentsOf: Repository.root.appending(path: "README.md"), encoding: .utf8)
    #expect(readme.split(separator: "\n", omittingEmptySubsequences: false).count < 200)
  }
}
