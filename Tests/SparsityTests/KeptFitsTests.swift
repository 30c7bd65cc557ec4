// Runs that were interrupted go on to the same gates, and from nothing that is not theirs.

import Bytes
import Foundation
import Models
import Sparsity
import TestSupport
import Testing

/// A small model with texts: 3 layers of 40 neurons, in blocks of 2 and 4.
private struct Run {
  var checkpoint = TinyCheckpoint.opt(layerCount: 3, innerWidth: 40)
  var texts = (0..<40).map { text in (0..<6).map { (text * 7 + $0 * 3) % 11 } }
  var heldOut: [[Int]] = []
  var settings = Sparsifier.Settings()
  var memory = MemoryBudget.default
  var subject = KeptFits.Subject.blocks

  init() {
    settings.blockWidths = [2, 4]
    settings.rank = 2
    settings.mass = 0.6
  }

  /// Too little for the weights, and for samples of more than one layer.
  static let smallMemory = MemoryBudget(byteCount: 1 << 15)

  /// The names of what is finished, in the order in which it is: layers together, or one by one.
  var pieces: [String] {
    guard subject == .blocks else { return ["heads-1", "heads-2"] }
    let groups = memory == Run.smallMemory ? [[0], [1], [2]] : [[0, 1, 2]]
    return (0..<3).map { "activity-\($0)" }
      + groups.flatMap { group in
        settings.blockWidths.flatMap { width in group.map { "gate-\($0)-\(width)" } }
      }
  }

  /// What was fitted, as a file and as a report, and how often progress was told.
  struct Result: Equatable {
    var file: [UInt8]
    var report: JSON
    var stepCount: Int
  }

  /// Keeps pieces in `folder`, if there is one; `isLast` removes them in the end.
  func result(in folder: String?, isLast: Bool = false) throws -> Result {
    let scratch = try ScratchFolder()
    let loaded = try ModelLoader.load(path: checkpoint.write(to: scratch))
    let interpreter = try FloatInterpreter(loaded, memory: memory)
    let kept = try folder.map {
      try KeptFits(
        path: $0, subject, of: loaded.model, weights: loaded, texts: texts, heldOut: heldOut,
        settings: settings, memory: memory)
    }
    let path = scratch.file("gates.safetensors")
    let report: JSON
    var stepCount = 0
    switch subject {
    case .blocks:
      let layers = try Sparsifier(interpreter, settings: settings).run(
        texts: texts, heldOut: heldOut, source: "texts", kept: kept
      ) { _, _ in stepCount += 1 }
      try GatesFile.write(layers, gated: Set(layers.indices), to: path)
      report = SparsityReport(layers, settings: settings).json
    case .heads:
      let heads = try HeadSparsifier(interpreter, weights: loaded, settings: settings).run(
        texts: texts, heldOut: heldOut, source: "texts", kept: kept
      ) { _, _ in stepCount += 1 }
      try GatesFile.write(heads, beside: nil, to: path)
      report = HeadReport(heads, settings: settings).json
    }
    if isLast { kept?.remove() }
    return Result(
      file: try MappedFile(path: path).allBytes(atMost: 1 << 20), report: report,
      stepCount: stepCount)
  }
}

@Suite struct KeptFitsTests {
  /// Whatever was finished last: what cannot be written ends the run there, and the next one goes on.
  @Test(arguments: [KeptFits.Subject.blocks, .heads], [MemoryBudget.default, Run.smallMemory])
  func interruptedRunsGoOn(subject: KeptFits.Subject, memory: MemoryBudget) throws {
    var run = Run()
    run.subject = subject
    run.memory = memory
    let whole = try run.result(in: nil)
    for (count, piece) in run.pieces.enumerated() {
      let scratch = try ScratchFolder()
      let folder = scratch.file("kept")
      // A folder stands where this piece is to be written.
      let obstacle = "\(folder)/.\(piece).partial"
      try Folder.make(obstacle)
      let error = #expect(throws: InputError.self) { try run.result(in: folder) }
      #expect(error?.cause.contains("is in the way") == true, "\(String(describing: error))")
      #expect(KeptFits.count(in: folder) == count)
      try FileManager.default.removeItem(atPath: obstacle)
      let rest = try run.result(in: folder, isLast: true)
      #expect(rest.file == whole.file && rest.report == whole.report, "\(piece)")
      // What was finished is not done again: a layer alone saves no pass over the texts.
      #expect(rest.stepCount <= whole.stepCount)
      #expect(!FilePaths.exists(folder), "\(piece)")
    }
  }

  /// Where all is there no text is run.
  @Test(arguments: [KeptFits.Subject.blocks, .heads]) func finishedPiecesAreNotDoneAgain(
    subject: KeptFits.Subject
  ) throws {
    var run = Run()
    run.subject = subject
    let folder = try ScratchFolder()
    let whole = try run.result(in: folder.file("kept"))
    #expect(whole.stepCount > 0)
    #expect(FileManager.default.files(below: folder.file("kept")) == run.pieces.sorted())
    let again = try run.result(in: folder.file("kept"))
    #expect(again.stepCount == 0)
    #expect(again.file == whole.file && again.report == whole.report)
    // Without one fit its pass alone is run.
    guard subject == .blocks else { return }
    try FileManager.default.removeItem(atPath: folder.file("kept/gate-1-4"))
    let part = try run.result(in: folder.file("kept"))
    #expect(part.file == whole.file && part.report == whole.report)
    #expect(part.stepCount > 0 && part.stepCount * 2 < whole.stepCount)
  }

  @Test func whatAnotherRunHasFinishedIsRefused() throws {
    let folder = try ScratchFolder()
    let run = Run()
    _ = try run.result(in: folder.file("kept"))
    let changes: [(String, (inout Run) -> Void)] = [
      ("--mass", { $0.settings.mass = 0.61 }), ("--rank", { $0.settings.rank = 3 }),
      ("--seed", { $0.settings.seed = 2 }), ("--block-width", { $0.settings.blockWidths = [4] }),
      ("number of positions", { $0.settings.positionCount = 100 }),
      ("--memory", { $0.memory = MemoryBudget(byteCount: 1 << 29) }),
      ("text (--tokens)", { $0.texts[3][2] = 7 }),
      ("text (--tokens)", { $0.texts.append([1]) }),
      ("text to judge by (--held-out)", { $0.heldOut = [[1, 2, 3]] }),
      ("choice of blocks or --heads", { $0.subject = .heads }),
      // The last weight of all, and what the graph computes with the same weights.
      ("model", { $0.checkpoint.tensors["model.decoder.layers.2.fc2.bias"]?.values[7] += 1 }),
      ("model", { $0.checkpoint.configuration["activation_function"] = "gelu" }),
    ]
    for (difference, change) in changes {
      var other = run
      change(&other)
      let error = #expect(throws: InputError.self) { try other.result(in: folder.file("kept")) }
      #expect(error?.source == folder.file("kept"))
      #expect(error?.cause == "was begun with another \(difference)")
      #expect(error?.hint.contains("remove the folder to begin again") == true)
    }
    let piece = folder.file("kept/gate-0-2")
    try DamagedFile.rewrite(piece, to: folder.file("forged"), header: { $0["run"] = 3 })
    try FileManager.default.moveItem(atPath: piece, toPath: folder.file("whole"))
    try FileManager.default.moveItem(atPath: folder.file("forged"), toPath: piece)
    let error = #expect(throws: InputError.self) { try run.result(in: folder.file("kept")) }
    #expect(error?.cause == "was begun with another setting")
    try FileManager.default.removeItem(atPath: piece)
    try FileManager.default.moveItem(atPath: folder.file("whole"), toPath: piece)
    // It is all there for the run whose it is.
    #expect(try run.result(in: folder.file("kept")).stepCount == 0)
  }

  @Test func twoRunsDoNotShareAFolder() throws {
    let (folder, scratch) = (try ScratchFolder(), try ScratchFolder())
    let run = Run()
    let loaded = try ModelLoader.load(path: run.checkpoint.write(to: scratch))
    let first = try KeptFits(
      path: folder.file("kept"), .blocks, of: loaded.model, weights: loaded, texts: run.texts,
      heldOut: [], settings: run.settings, memory: run.memory)
    let error = #expect(throws: InputError.self) { try run.result(in: first.path) }
    #expect(error?.cause == "is in use by another run")
  }

  /// A whole folder of pieces, and what its run gave.
  private static let finished = Result {
    let folder = try ScratchFolder()
    return (folder: folder, result: try Run().result(in: folder.file("kept")))
  }

  /// Damage, and contents whose digests are right, are found before anything is made of them.
  private func refuses(
    _ piece: String, saying part: String? = nil, _ damage: (String, String) throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let finished = try Self.finished.get()
    let scratch = try ScratchFolder()
    let folder = scratch.file("kept")
    try FileManager.default.copyItem(atPath: finished.folder.file("kept"), toPath: folder)
    let path = "\(folder)/\(piece)"
    try FileManager.default.moveItem(atPath: path, toPath: scratch.file("whole"))
    try damage(scratch.file("whole"), path)
    let error = #expect(throws: InputError.self, sourceLocation: sourceLocation) {
      try Run().result(in: folder)
    }
    #expect(error?.source == path, "\(String(describing: error))", sourceLocation: sourceLocation)
    #expect(
      error?.hint == "remove this file, and the same command fits again what was in it",
      "\(String(describing: error))", sourceLocation: sourceLocation)
    if let part {
      #expect(
        error?.description.contains(part) == true, "\(String(describing: error))",
        sourceLocation: sourceLocation)
    }
    // As the hint says.
    try FileManager.default.removeItem(atPath: path)
    let again = try Run().result(in: folder)
    #expect(
      again.file == finished.result.file && again.report == finished.result.report,
      sourceLocation: sourceLocation)
  }

  @Test(arguments: ["activity-1", "gate-1-4"]) func damagedPiecesAreRefused(piece: String) throws {
    for fraction in [0, 0.3, 0.6, 0.99] {
      try refuses(piece) { try DamagedFile.truncate($0, to: $1, at: fraction) }
      try refuses(piece) { try DamagedFile.invertBytes($0, to: $1, at: fraction) }
    }
    try refuses(piece) { try DamagedFile.rewrite($0, to: $1, kind: "model") }
    try refuses(piece) { try DamagedFile.rewrite($0, to: $1, header: { $0["run"] = nil }) }
    try refuses(piece, saying: "unknown key") {
      try DamagedFile.rewrite($0, to: $1, header: { $0["more"] = 1 })
    }
    // Another layer's, as it was written.
    try refuses("gate-1-4") { _, path in
      try FileManager.default.copyItem(
        atPath: Self.finished.get().folder.file("kept/activity-1"), toPath: path)
    }
  }

  private static let notOurs = "is not what this run writes"

  @Test func forgedStatisticsAreRefused() throws {
    func forged(_ words: @escaping (String, inout [UInt64]) -> Void) throws {
      try refuses("activity-1", saying: Self.notOurs) {
        try DamagedFile.rewrite($0, to: $1, words: words)
      }
    }
    // A neuron that the layer does not have, which would be counted beyond the end.
    try forged { name, words in if name == "patterns" { words[0] |= 1 << 40 } }
    try forged { name, words in if name == "patterns" { words[5] = 0 } }
    try forged { name, words in if name == "counts" { words[3] = .max } }
    try forged { name, words in if name == "counts" { words[3] = 1000 } }
    for (stride, part) in [
      (2, Self.notOurs), (3, Self.notOurs), (0, "outside"), (1 << 40, "outside"),
    ] {
      try refuses("activity-1", saying: part) {
        try DamagedFile.rewrite($0, to: $1, header: { $0["stride"] = .integer(stride) })
      }
    }
    try refuses("activity-1", saying: "counts") {
      try DamagedFile.rewrite($0, to: $1, without: ["counts"])
    }
  }

  @Test func forgedFitsAreRefused() throws {
    func forged(_ words: @escaping (String, inout [UInt64]) -> Void) throws {
      try refuses("gate-2-2", saying: Self.notOurs) {
        try DamagedFile.rewrite($0, to: $1, words: words)
      }
    }
    try forged { name, words in if name == "order" { words[1] = words[0] } }
    try forged { name, words in if name == "order" { words[1] = 40 } }
    try forged { name, words in if name == "order" { words[1] = .max } }
    for name in ["low", "high", "bias"] {
      try forged { if $0 == name { $1[0] = UInt64(Float.infinity.bitPattern) } }
    }
    func header(_ key: String, _ value: JSON, _ part: String = Self.notOurs) throws {
      try refuses("gate-2-2", saying: part) {
        try DamagedFile.rewrite($0, to: $1, header: { $0[key] = value })
      }
    }
    for key in ["activeShare", "openShare", "recall", "massKept", "massRemoved"] {
      try header(key, 1.1)
      try header(key, -0.1)
    }
    try header("openShare", "0.5", "expected a number")
    try header("positionCount", 0, "outside")
    try header("picture", [])
    try header("picture", .array([JSON](repeating: "x", count: 48)))
    // Another layer's, in which as many neurons fire.
    try refuses("gate-2-2", saying: "was written as gate-1-2") { _, path in
      try FileManager.default.copyItem(
        atPath: Self.finished.get().folder.file("kept/gate-1-2"), toPath: path)
    }
  }
}
