// `lodge-check logits`: when do two runs say the same?

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct LogitsTests {
  private let folder = try? ScratchFolder()

  /// Writes rows of logits and returns the file's path.
  private func write(_ rows: [[Float]], _ name: String) throws -> String {
    let path = try #require(folder).file(name)
    try NPY.write(
      NPYArray(shape: [rows.count, rows[0].count], values: rows.flatMap { $0 }), to: path)
    return path
  }

  private let plaintext: [[Float]] = [[1, 3, 2], [0.5, 0.375, -1], [0, 0, 7]]

  @Test func closeLogitsAreEqualTokens() throws {
    let secure = try write([[1, 3.25, 2], [0.5, 0.375, -1], [0, 0, 7]], "secure.npy")
    let text = try Tool.succeed(
      "lodge-check", ["logits", secure, write(plaintext, "plaintext.npy"), "--json"])
    var reader = try JSONReader(JSON.parse(Array(text.utf8), source: "output"), source: "output")
    #expect(try reader.integer("rows") == 3)
    #expect(try reader.integer("comparedRows") == 3)
    #expect(try reader.number("largestDifference") == 0.25)
    #expect(abs(try reader.number("meanDifference") - 0.25 / 9) < 1e-6)
    #expect(try reader.value("divergence") == .null)
    try reader.finish()
  }

  /// A token may differ where the plaintext model hardly prefers its own; the rest is not compared.
  @Test func aSmallMarginExplainsAnotherToken() throws {
    let secure = try write([[1, 3, 2], [0.375, 0.5, -1], [900, 0, 7]], "secure.npy")
    let other = try write(plaintext, "plaintext.npy")
    let text = try Tool.succeed("lodge-check", ["logits", secure, other])
    #expect(text.contains("1 of 3"))
    #expect(text.contains("row 1, where the plaintext margin is 0.1250"))
    #expect(text.contains("0.1250\n"))
    let outcome = try Tool.run("lodge-check", ["logits", secure, other, "--margin", "0.1"])
    Tool.expectFailure(
      outcome, of: "lodge-check",
      saying: [secure, "row 1", "token 1 was chosen", "chooses 0 by a margin of 0.1250"])
  }

  @Test func whatCannotBeComparedIsRefused() throws {
    let good = try write(plaintext, "plaintext.npy")
    let short = try write(Array(plaintext.prefix(2)), "short.npy")
    try Tool.fail("lodge-check", ["logits", short, good], saying: [short, "shape"])
    let wrong = try write([[1, .nan, 2], [0, 0, 0], [0, 0, 0]], "wrong.npy")
    try Tool.fail("lodge-check", ["logits", wrong, good], saying: [wrong, "row 0", "not finite"])
    let cut = try #require(folder).file("cut.npy")
    try Data(Data(contentsOf: URL(filePath: good)).dropLast(3)).write(to: URL(filePath: cut))
    try Tool.fail("lodge-check", ["logits", good, cut], saying: [cut])
  }
}
