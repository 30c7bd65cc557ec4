// `lodge-model calibrate` and `approximate --calibration` as a user runs them.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct CalibrateTests {
  private let folder: ScratchFolder
  private let checkpoint = Repository.fixtures.appending(path: "opt-dickens-5m").path

  init() throws {
    folder = try ScratchFolder()
    _ = try folder.write(Array("[[2, 5, 9, 30], [2, 7]]".utf8), to: "a.json")
    _ = try folder.write(Array("[[2, 11, 300]]".utf8), to: "b.json")
  }

  private func calibrate(_ name: String) throws -> String {
    try Tool.succeed(
      "lodge-model",
      [
        "calibrate", checkpoint, "--tokens", folder.file("\(name).json"), "--out",
        folder.file("\(name).h5"),
      ])
  }

  @Test func calibrationsAddUpAndServeToApproximate() throws {
    let table = try calibrate("a")
    #expect(table.contains("layers.*.feedForward.activation") && table.contains("headroom"))
    #expect(table.contains("2 texts, 6 tokens"))
    _ = try calibrate("b")
    let merged = try Tool.succeed(
      "lodge-model",
      [
        "calibrate", "--merge", folder.file("a.h5"), folder.file("b.h5"), "--out",
        folder.file("all.h5"),
      ])
    #expect(merged.contains("3 texts, 9 tokens"))
    let report = try Tool.succeed(
      "lodge-model",
      [
        "approximate", checkpoint, "--calibration", folder.file("all.h5"), "--out",
        folder.file("m.lodge"), "--json",
      ])
    #expect(report.contains("\"tokenCount\": 9"))
  }

  @Test func badCallsAreExplained() throws {
    let out = ["--out", folder.file("x.h5")]
    try Tool.fail("lodge-model", ["calibrate", checkpoint] + out, status: 64, saying: ["--tokens"])
    try Tool.fail(
      "lodge-model",
      ["calibrate", "--merge", "a.h5", "--tokens", folder.file("a.json")] + out, status: 64,
      saying: ["--merge takes calibrations"])
    try Tool.fail(
      "lodge-model", ["approximate", checkpoint] + out, status: 64,
      saying: ["--tokens or --calibration"])
    _ = try folder.write(Array("[]".utf8), to: "empty.json")
    try Tool.fail(
      "lodge-model",
      ["calibrate", checkpoint, "--tokens", folder.file("empty.json")] + out, status: 1,
      saying: ["empty.json"])
    _ = try folder.write(Array("[[2, 99999]]".utf8), to: "far.json")
    try Tool.fail(
      "lodge-model", ["calibrate", checkpoint, "--tokens", folder.file("far.json")] + out,
      status: 1, saying: ["far.json", "text 0", "99999", "vocabulary"])
  }
}
