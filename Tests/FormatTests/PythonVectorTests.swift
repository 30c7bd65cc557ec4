// The second implementation: it writes the vectors, and refuses them where it must.

import Foundation
import TestSupport
import Testing

@Suite(.needsPython) struct PythonVectorTests {
  /// All stages, and that every error names a file that is wrong.
  @Test func everyVectorFailsAtItsStage() throws {
    let outcome = try PythonTool("check-vectors").run([FormatVector.folder])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let vectors = ["container", "session"].flatMap { FormatVector.all(in: $0) }
    for vector in vectors { #expect(outcome.output.contains("\(vector.name): "), "\(vector.name)") }
    #expect(outcome.output.hasSuffix("\(vectors.count + 7) vectors checked, 0 wrong\n"))
  }

  @Test func vectorsAreAsWritten() throws {
    let folder = try ScratchFolder()
    let outcome = try PythonTool("write-vectors").run([folder.path])
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
  }
}
