// `lodge-model sparsify`, as a user runs it.

import Approximation
import Bytes
import Checkpoints
import Foundation
import Glibc
import TestSupport
import Testing

@Suite struct SparsifyTests {
  private static let texts: [UInt8] = Array(
    JSON.array(
      (0..<40).map { text in .array((0..<6).map { .integer((text * 7 + $0 * 3) % 11) }) }
    ).text.utf8)

  @Test func aFileAndATableAreWritten() throws {
    let (model, folder) = (try ScratchFolder(), try ScratchFolder())
    let checkpoint = try TinyCheckpoint.opt(width: 8, innerWidth: 64).write(to: model)
    let tokens = try folder.write(SparsifyTests.texts, to: "texts.json")
    let arguments = [
      "sparsify", checkpoint, "--tokens", tokens, "--block-width", "2", "--rank", "1",
      "--mass", "0.5", "--out",
    ]
    let text = try Tool.succeed("lodge-model", arguments + [folder.file("first.safetensors")])
    #expect(text.contains("mass kept") && text.contains("held-out positions"))
    let json = try JSON.parse(
      Tool.succeed("lodge-model", arguments + [folder.file("second.safetensors"), "--json"]),
      source: "json")
    guard case .object(let members) = json, case .array(let layers)? = members["layers"] else {
      throw InputError("json", "has no layers")
    }
    #expect(layers.count == 2)
    for layer in layers {
      guard case .object(let values) = layer else { throw InputError("json", "no layer") }
      #expect(try #require(values["massKept"]?.double) > 0.3)
      #expect(values["blockWidth"] == 2)
    }
    // Equal seeds write equal files.
    let files = try ["first", "second"].map {
      try MappedFile(path: folder.file("\($0).safetensors")).allBytes(atMost: 1 << 20)
    }
    #expect(files[0] == files[1])
    let gates = try Safetensors(path: folder.file("first.safetensors"))
    #expect(gates.tensors.contains { $0.name.hasSuffix(".order") })
  }

  /// Texts of six tokens have too few keys for gates of heads to pay: nothing is written, and what
  /// stood there is not taken for it.
  @Test func headsThatDoNotPayStayDense() throws {
    let (model, folder) = (try ScratchFolder(), try ScratchFolder())
    let checkpoint = try TinyCheckpoint.opt().write(to: model)
    let tokens = try folder.write(SparsifyTests.texts, to: "texts.json")
    let out = folder.file("heads.safetensors")
    let arguments = [
      "sparsify", checkpoint, "--heads", "--tokens", tokens, "--mass", "0.6", "--out", out,
    ]
    let text = try Self.nothingPays(arguments)
    #expect(text.contains("layer 1 stays dense") && !text.contains("Next:"))
    var json = try JSONReader(
      JSON.parse(Self.nothingPays(arguments + ["--json"]), source: "json"), source: "json")
    #expect(try json.string("format") == "lodge-head-sparsity")
    #expect(try json.array("layers").count == 1)
    #expect(!FileManager.default.fileExists(atPath: out))
    try Tool.fail(
      "lodge-model", arguments + ["--block-width", "2"], saying: ["takes no --block-width"])
  }

  /// GELU is never 0: no neuron can be removed, and no gate pays.
  @Test func aDenseModelIsNoSuccess() throws {
    let (model, folder) = (try ScratchFolder(), try ScratchFolder())
    let checkpoint = try TinyCheckpoint.gpt2().write(to: model)
    let tokens = try folder.write(SparsifyTests.texts, to: "texts.json")
    let out = try folder.write([1, 2, 3], to: "gates.safetensors")
    let text = try Self.nothingPays([
      "sparsify", checkpoint, "--tokens", tokens, "--block-width", "5", "--out", out,
    ])
    #expect(text.contains("layer 0 stays dense") && !text.contains("Next:"))
    // The status tells: a failed command leaves what was there.
    #expect(try MappedFile(path: out).allBytes(atMost: 4) == [1, 2, 3])
  }

  /// What is printed where no gate pays; a script sees the status.
  private static func nothingPays(_ arguments: [String]) throws -> String {
    let outcome = try Tool.run("lodge-model", arguments)
    Tool.expectFailure(outcome, of: "lodge-model", status: 2, saying: ["is not written"])
    return outcome.output
  }

  /// Interrupted and killed in the middle: the same command goes on, writes what it would have
  /// written, and leaves nothing else.
  @Test(arguments: [SIGTERM, SIGKILL]) func anInterruptedRunGoesOn(signal: Int32) throws {
    let opt = Repository.fixtures.appending(path: "opt-dickens-5m")
    let folder = try ScratchFolder()
    let tokens = opt.appending(path: "calibration.json").path
    func arguments(_ out: String, mass: String = "0.98") -> [String] {
      [
        "sparsify", opt.path, "--tokens", tokens, "--block-width", "16", "--rank", "8",
        "--mass", mass, "--out", folder.file(out),
      ]
    }
    try Tool.succeed("lodge-model", arguments("whole"))
    #expect(try folder.names() == ["whole"])

    let kept = folder.file("out.unfinished")
    let run = try RunningTool("lodge-model", arguments("out"))
    let isThere = run.poll(.seconds(60)) { FilePaths.exists("\(kept)/gate-1-16") }
    run.signal(signal)
    #expect(try isThere && run.wait(.seconds(60)) == -signal)
    let count = try Folder.names(in: kept).count { $0.contains("-") && !$0.hasPrefix(".") }
    #expect(count >= 8 && !FilePaths.exists(folder.file("out")))
    if signal == SIGTERM {
      #expect(
        try run.messages.contains(
          "hint: unfinished files are removed; \(count) finished parts kept in \(kept), the same "
            + "command goes on\n"))
    }

    try Tool.fail(
      "lodge-model", arguments("out", mass: "0.9"),
      saying: [kept, "was begun with another --mass"])
    let outcome = try Tool.run("lodge-model", arguments("out"))
    #expect(outcome.status == 0)
    #expect(
      outcome.messages.contains(
        "note: goes on with \(kept): 6 layers are observed, \(count - 6) gates are fitted\n"),
      "\(outcome.messages)")
    #expect(try folder.names() == ["out", "whole"])
    let files = try ["out", "whole"].map {
      try MappedFile(path: folder.file($0)).allBytes(atMost: 1 << 20)
    }
    #expect(files[0] == files[1])
  }

  /// Before anything is finished there is nothing to go on from, and nothing is left.
  @Test func aRunThatIsInterruptedAtOnceLeavesNothing() throws {
    let opt = Repository.fixtures.appending(path: "opt-dickens-5m")
    let folder = try ScratchFolder()
    let run = try RunningTool(
      "lodge-model",
      [
        "sparsify", opt.path, "--tokens", opt.appending(path: "calibration.json").path, "--out",
        folder.file("out"),
      ])
    let isThere = run.poll(.seconds(60)) { FilePaths.exists(folder.file("out.unfinished")) }
    run.signal(SIGINT)
    #expect(try isThere && run.wait(.seconds(60)) == -SIGINT)
    #expect(try run.messages.contains("the same command begins again\n"))
    #expect(try folder.names().isEmpty)
  }

  @Test func wrongInputsAreNamed() throws {
    let (model, folder) = (try ScratchFolder(), try ScratchFolder())
    let checkpoint = try TinyCheckpoint.opt().write(to: model)
    let tokens = try folder.write(SparsifyTests.texts, to: "texts.json")
    let few = try folder.write(Array("[[1,2,3],[4,5]]".utf8), to: "few.json")
    let one = try folder.write(Array("[[1,2,3]]".utf8), to: "one.json")
    for (more, part) in [
      (["--tokens", few], "2 texts are too few"), (["--tokens", one], "1 text is too few"),
      (["--tokens", tokens, "--block-width", "13"], "block-width"),
    ] {
      try Tool.fail(
        "lodge-model", ["sparsify", checkpoint, "--out", folder.file("gates")] + more,
        saying: [part])
    }
    #expect(!FileManager.default.fileExists(atPath: folder.file("gates")))
    #expect(!FileManager.default.fileExists(atPath: folder.file("gates.unfinished")))
  }

  /// Orders would number the neurons that the first gates have left.
  @Test func gatedCheckpointsAreRefused() throws {
    let (model, folder) = (try ScratchFolder(), try ScratchFolder())
    let checkpoint = try TinyCheckpoint.opt().write(to: model)
    let tokens = try folder.write(SparsifyTests.texts, to: "texts.json")
    var builder = SafetensorsBuilder()
    builder.setHeader("__metadata__", ["format": "lodge-gates", "version": "1"])
    builder.add("layers.1.order", type: "I32", shape: [2], bytes: [3, 0, 0, 0, 5, 0, 0, 0])
    _ = try model.write(builder.bytes, to: "gates.safetensors")
    let out = folder.file("gates")
    try Tool.fail(
      "lodge-model", ["sparsify", checkpoint, "--tokens", tokens, "--out", out],
      saying: ["gates.safetensors", "has gates already"])
    #expect(!FileManager.default.fileExists(atPath: out))
  }
}
