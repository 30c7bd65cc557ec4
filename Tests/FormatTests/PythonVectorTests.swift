// The second implementation: it writes the vectors, and refuses them where it must.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.needsPython) struct PythonVectorTests {
  /// All stages, and that every error names a file that is wrong.
  @Test func everyVectorFailsAtItsStage() throws {
    let outcome = try PythonTool("check-vectors").run([FormatVector.folder])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let vectors = ["container", "session"].flatMap { FormatVector.all(in: $0) }
    let valid = try ["valid", "model"].flatMap {
      try FileManager.default.contentsOfDirectory(atPath: "\(FormatVector.folder)/\($0)")
    }
    for name in valid { #expect(outcome.output.contains("valid-\(name): valid"), "\(name)") }
    for vector in vectors { #expect(outcome.output.contains("\(vector.name): "), "\(vector.name)") }
    let wire = "\(FormatVector.folder)/wire.json"
    var reader = try JSONReader(JSON.read(wire), source: wire)
    let count = try vectors.count + valid.count + reader.array("frames").count
    #expect(outcome.output.hasSuffix("\(count) vectors checked, 0 wrong\n"))
  }

  /// Folders that are not there are named in one line.
  @Test func missingFoldersAreNamed() throws {
    for folder in ["/nonexistent", Repository.root.appending(path: "formats").path] {
      let vectors = try PythonTool("check-vectors").run([folder])
      #expect(vectors.status == 1 && vectors.errorLines.count == 2, "\(vectors.errors)")
      #expect(
        vectors.errorLines.first
          == "check-vectors: error: \(folder)/container: there is no such file or folder")
    }
    let shapes = try PythonTool("measure/shapes").run(["bert-tiny", "--work", "/nonexistent/w"])
    #expect(shapes.status == 2, "\(shapes.errors)")
    #expect(
      shapes.errorLines.last?.hasSuffix(
        "--work /nonexistent/w: there is no such folder; make it first") == true)
  }

  private func check(_ names: [String]) throws -> PythonTool.Outcome {
    try PythonTool("check-session").run(
      ["\(FormatVector.folder)/valid/dealer.bundle"] + names.map { "\(FormatVector.folder)/\($0)" }
        + ["--dealer", "\(FormatVector.folder)/valid/dealer.batch", "--all"])
  }

  /// What the dealer has is enough to check a session; a wrong word is named by file, operation
  /// and component.
  @Test func tamperedSessionsAreNamed() throws {
    let files = ["valid/party0.corr", "valid/party1.corr"]
    let right = try check(files)
    #expect(right.status == 0, "\(right.errors)")
    #expect(right.output.contains("piecewiseLinear: 4 of 4 operations checked"))
    #expect(right.output.contains("lookup: 2 of 2 operations checked"))
    #expect(right.output.contains("permuted: 3 of 3 operations checked"))
    for (name, place) in [
      ("R11-algebra-14-multiply-0", "operations/14/0: operation 14 (multiply), component 0: "),
      ("R11-algebra-2-linear-0", "operations/2/0: operation 2 (linear), component 0: "),
    ] {
      let changed = "session/\(name).party0.corr"
      let outcome = try check([changed, files[1]])
      #expect(outcome.status == 1 && outcome.errorLines.count == 1)
      #expect(outcome.errors.contains("\(changed): \(place)"), "\(outcome.errors)")
    }
  }

  @Test func vectorsAreAsWritten() throws {
    let folder = try ScratchFolder()
    let outcome = try PythonTool("development/write-vectors").run([folder.path])
    #expect(outcome.status == 0, "\(outcome.errors)")
    for part in ["container", "program", "session", "valid"] {
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.file(part)).sorted()
      let kept = "\(FormatVector.folder)/\(part)"
      #expect(try FileManager.default.contentsOfDirectory(atPath: kept).sorted() == names)
      for name in names {
        #expect(
          try Data(contentsOf: URL(filePath: folder.file("\(part)/\(name)")))
            == Data(contentsOf: URL(filePath: "\(kept)/\(name)")), "\(name)")
      }
    }
    for name in ["comparison.json", "permuted.json", "point.json", "program.json", "wire.json"] {
      #expect(
        try String(contentsOfFile: folder.file(name), encoding: .utf8)
          == String(contentsOfFile: "\(FormatVector.folder)/\(name)", encoding: .utf8), "\(name)")
    }
  }
}
