// What `inspect` and `logits` give for the fixture and for a tiny model.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct ModelInspectionTests {
  @Test func inspectsTheFixture() throws {
    let inspection = try ModelInspection(path: ReferenceModel.opt.folder.path)
    #expect(inspection.parameterCount == 5_329_408)
    #expect(inspection.usedParameterCount == 5_329_408)
    #expect(
      inspection.nonLinearOperations == [
        NonLinearOperations(kind: "layerNorm", nodeCount: 13, rowsPerPosition: 1, rowWidth: 256),
        NonLinearOperations(kind: "softmax", nodeCount: 6, rowsPerPosition: 8, rowWidth: 256),
        NonLinearOperations(kind: "relu", nodeCount: 6, rowsPerPosition: 1, rowWidth: 1024),
      ])
    #expect(inspection.tensors.count == 100)
    #expect(inspection.tensors.allSatisfy { !$0.weightNames.isEmpty })
  }

  @Test func tableIsAligned() throws {
    let folder = try ScratchFolder()
    let path = try TinyCheckpoint.bert(layerCount: 1).write(to: folder)
    var inspection = try ModelInspection(path: path)
    inspection.isComplete = true
    let lines = inspection.text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(
      lines[0..<15].map(String.init) == [
        "file          \(path)/model.safetensors",
        "format        safetensors",
        "model         bert, encoder",
        "parameters    772, of which 700 are used",
        "vocabulary    11",
        "positions     6",
        "output        the last hidden state",
        "output width  8",
        "",
        "non-linear  nodes  rows per position  row width",
        "----------  -----  -----------------  ---------",
        "layerNorm       3                  1          8",
        "softmax         1                  2    up to 6",
        "gelu            1                  1         12",
        "",
      ])
    #expect(lines[15].hasPrefix("tensor  ") && lines[15].hasSuffix("  weight"))
    #expect(
      lines.contains {
        $0.hasPrefix("pooler.dense.weight ") && $0.hasSuffix("8 x 8   F32    (not used)")
      })
    #expect(lines.allSatisfy { !$0.hasSuffix(" ") })
  }

  @Test func jsonHoldsTheSame() throws {
    let folder = try ScratchFolder()
    let path = try TinyCheckpoint.opt(layerCount: 1).write(to: folder)
    let inspection = try ModelInspection(path: path)
    var reader = try JSONReader(JSON.parse(inspection.json.text, source: "j"), source: "j")
    #expect(try reader.string("family") == "opt")
    #expect(try reader.string("kind") == "decoder")
    #expect(try reader.integer("parameterCount") == inspection.parameterCount)
    #expect(try reader.integer("usedParameterCount") == inspection.usedParameterCount)
    #expect(try reader.array("nonLinearOperations").count == 3)
    let tensors = try reader.array("tensors")
    #expect(tensors.count == 20)
    var first = try JSONReader(tensors[0], source: "j")
    #expect(try first.string("name") == "model.decoder.embed_positions.weight")
    #expect(try first.integers("shape") == [8, 8])
    #expect(try first.string("dtype") == "F32")
    #expect(try first.integer("byteCount") == 256)
    #expect(try first.array("weights") == ["embedPositions"])
    try first.finish()
  }

  @Test func logitsOfATokenFile() throws {
    let folder = try ScratchFolder()
    let path = try TinyCheckpoint.opt().write(to: folder)
    let tokens = try folder.write("[1, 2, 3]".utf8, to: "t.json")
    let logits = try PlaintextReference.output(checkpointPath: path, tokensPath: tokens)
    #expect(logits.rowCount == 3 && logits.columnCount == 11)
    #expect(logits.npyArray == NPYArray(shape: [3, 11], values: logits.values))
    for (text, cause) in [
      ("[[1], [2]]", "holds 2 token lists, expected one"),
      ("[1, 11]", "position 1: token 11 is outside the vocabulary of 11"),
      ("[1, 1, 1, 1, 1, 1, 1]", "7 tokens, the model has positions for 6"),
    ] {
      _ = try folder.write(text.utf8, to: "t.json")
      let error = #expect(throws: InputError.self) {
        try PlaintextReference.output(checkpointPath: path, tokensPath: tokens)
      }
      #expect(error?.description == "\(tokens): \(cause)")
    }
  }
}
