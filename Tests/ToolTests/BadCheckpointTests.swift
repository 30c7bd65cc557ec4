// What the owner's tools say about damaged checkpoints and wrong token files.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct BadCheckpointTests {
  /// A checkpoint with one fault, and what each reading command must say of it.
  struct Fault: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var parts: [String]
    var change: @Sendable (String) throws -> Void

    init(_ name: String, _ parts: [String], change: @escaping @Sendable (String) throws -> Void) {
      testDescription = name
      self.parts = parts
      self.change = change
    }

    static func weights(
      _ name: String, _ parts: [String], change: @escaping @Sendable (inout Data) -> Void
    ) -> Fault {
      Fault(name, ["model.safetensors"] + parts) { folder in
        try damage("\(folder)/model.safetensors", change)
      }
    }

    static func configuration(_ name: String, _ parts: [String], text: String) -> Fault {
      Fault(name, ["config.json"] + parts) { folder in
        try Data(text.utf8).write(to: URL(filePath: "\(folder)/config.json"))
      }
    }
  }

  static let faults: [Fault] = [
    .weights("cut in the data", ["go beyond"]) { $0.removeLast(100) },
    .weights("cut in the header", ["header"]) { $0 = $0.prefix(200) },
    .weights("empty", ["byte"]) { $0 = Data() },
    .weights("longer than its header says", ["3 bytes after"]) {
      $0.append(contentsOf: [1, 2, 3])
    },
    .weights("header longer than the file", ["header"]) { $0[5] = 0x7f },
    .weights("header that is no JSON", ["byte"]) { $0[8] = UInt8(ascii: "[") },
    .weights("unknown type", ["Q32"]) { bytes in
      if let range = bytes.range(of: Data("F32".utf8)) {
        bytes.replaceSubrange(range, with: Data("Q32".utf8))
      }
    },
    .weights("renamed tensor", ["zc1.weight", "fc1.weight"]) { bytes in
      if let range = bytes.range(of: Data("fc1.weight".utf8)) {
        bytes.replaceSubrange(range, with: Data("zc1.weight".utf8))
      }
    },
    .configuration("configuration that is no JSON", ["byte"], text: "{\"model_type\": opt}"),
    .configuration(
      "configuration with a key twice", ["model_type"],
      text: """
        {"model_type": "opt", "model_type": "opt"}
        """),
    .configuration("unknown family", ["mamba"], text: "{\"model_type\": \"mamba\"}"),
    Fault("no configuration", ["config.json"]) { folder in
      try FileManager.default.removeItem(atPath: "\(folder)/config.json")
    },
    Fault("no weights", ["model.safetensors"]) { folder in
      try FileManager.default.removeItem(atPath: "\(folder)/model.safetensors")
    },
  ]

  /// Every command that reads a checkpoint, with the file it would write.
  @Test(arguments: faults)
  func damagedCheckpointsAreNamed(fault: Fault) throws {
    let folder = try copyOfTiny()
    try fault.change(folder.path)
    let before = try folder.names()
    let out = folder.file("out")
    let commands = [
      ["inspect", folder.path],
      ["logits", folder.path, "--tokens", folder.file("prompt.json"), "--out", out],
      ["approximate", folder.path, "--tokens", folder.file("calibration.json"), "--out", out],
    ]
    for command in commands { try Tool.fail("lodge-model", command, saying: fault.parts) }
    #expect(try folder.names() == before)
  }

  private func copyOfTiny() throws -> ScratchFolder {
    let source = try Tiny.converted.get()
    let folder = try ScratchFolder()
    for name in ["config.json", "model.safetensors", "calibration.json", "prompt.json"] {
      try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: folder.file(name))
    }
    return folder
  }

  @Test func allThatIsUnsupportedIsInOneError() throws {
    var checkpoint = TinyCheckpoint.opt()
    checkpoint.configuration["activation_function"] = "swiglu"
    checkpoint.configuration["_remove_final_layer_norm"] = true
    let folder = try ScratchFolder()
    let path = try checkpoint.write(to: folder)
    try Tool.fail(
      "lodge-model", ["inspect", path],
      saying: ["config.json", "swiglu", "_remove_final_layer_norm"])
  }

  @Test(arguments: [
    ("[]", "no tokens"), ("[[]]", "no tokens"), ("[1,11]", "token 11"), ("[-1]", "[0]"),
    ("[1.0]", "[0]"), ("[1,2", "byte"), ("{}", "array"), ("[1,2,3,4,5,6,7]", "positions for 6"),
    ("[[1],[]]", "[1]"),
  ])
  func wrongTokensAreNamed(text: String, part: String) throws {
    let model = try Tiny.converted.get()
    let folder = try ScratchFolder()
    let tokens = try folder.write(text.utf8, to: "tokens.json")
    let out = folder.file("out")
    try Tool.fail(
      "lodge-model", ["approximate", model, "--tokens", tokens, "--out", out],
      saying: [tokens, part])
    // The reading command takes one list only, and says so before it looks at the lists.
    if !text.hasPrefix("[[1") {
      try Tool.fail(
        "lodge-model", ["logits", model, "--tokens", tokens, "--out", out], saying: [tokens, part])
    }
    #expect(try folder.names() == ["tokens.json"])
  }

  @Test func continuationsMustFitThePositions() throws {
    let model = try Tiny.converted.get()
    let folder = try ScratchFolder()
    let tokens = try folder.write("[1,2,3]".utf8, to: "tokens.json")
    try Tool.fail(
      "lodge-model",
      [
        "logits", model, "--tokens", tokens, "--new", "5", "--out", folder.file("out"),
        "--tokens-out", folder.file("new"),
      ], saying: [tokens, "positions for 6"])
    #expect(try folder.names() == ["tokens.json"])
  }

  @Test func unknownRecipesAreNamed() throws {
    let model = try Tiny.converted.get()
    let folder = try ScratchFolder()
    let wrong = try folder.write(#"{"name": "mine", "degree": 3}"#.utf8, to: "recipe.json")
    let cut = try folder.write(#"{"name": "#.utf8, to: "cut.json")
    let before = try folder.names()
    for (recipe, part) in [("fast", "fast"), (wrong, "recipe.json"), (cut, "cut.json")] {
      try Tool.fail(
        "lodge-model",
        [
          "approximate", model, "--recipe", recipe, "--tokens", "\(model)/calibration.json",
          "--out", folder.file("out"),
        ], saying: [part])
    }
    #expect(try folder.names() == before)
  }

  /// Output paths that cannot be written: below a file, in no folder, and a folder itself.
  @Test func unwritableOutputsAreNamed() throws {
    let model = try Tiny.converted.get()
    let first = try Tiny.first.get()
    let folder = try ScratchFolder()
    let file = try folder.write([1], to: "file")
    let calibration = "\(model)/calibration.json"
    for out in ["\(file)/out", folder.file("no/such/out"), folder.path] {
      try Tool.fail(
        "lodge-model", ["approximate", model, "--tokens", calibration, "--out", out],
        saying: [out])
      try Tool.fail(
        "lodge-model", ["logits", model, "--tokens", "\(model)/prompt.json", "--out", out],
        saying: [out])
    }
    try Tool.fail(
      "lodge-model", ["share", "\(model)/model.lodge", "--out", "\(file)/out"],
      saying: ["\(file)/out"])
    try Tool.fail(
      "lodge-deal", ["\(first)/shares", "--prompt", "3", "--new", "3", "--out", "\(file)/out"],
      saying: ["\(file)/out"])
    #expect(try folder.names() == ["file"])
  }
}
