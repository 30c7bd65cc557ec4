// Tests/Vectors/references is what tools/development/write-function-values writes.

import Foundation
import TestSupport
import Testing

struct ReferenceVectorTests {
  @Test(.needsPython) func vectorsAreReproducible() throws {
    let folder = try ScratchFolder()
    let outcome = try PythonTool("development/write-function-values").run([folder.path])
    try #require(outcome.status == 0, "\(outcome.errors)")
    let vectors = Repository.root.appending(path: "Tests/Vectors/references")
    let names = try FileManager.default.contentsOfDirectory(atPath: vectors.path).sorted()
    #expect(try folder.names() == names)
    for name in names {
      #expect(
        try Data(contentsOf: URL(filePath: folder.file(name)))
          == Data(contentsOf: vectors.appending(path: name)), "\(name)")
    }
  }
}
