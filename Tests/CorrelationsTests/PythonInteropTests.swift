// A checker in Python, written from formats/ alone, finds the algebra that the dealer promises.

import Approximation
import Bytes
import Correlations
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

@Suite(.needsPython) struct SessionPythonTests {
  static let tool = PythonTool("check-session")

  static func arguments(_ files: ConversionFiles, _ batch: Batch) -> [String] {
    (0...1).map(files.bundlePath) + (0...1).map { batch.path(party: $0, session: 0) }
  }

  @Test func sessionOfTheFixture() throws {
    let files = try ConversionFiles.fixture()
    let bundle = try DealerBundle(path: "\(files.folder)/dealer.bundle")
    let batch = try Batch(
      folder: files.scratch.file("corr"), conversion: bundle.conversion,
      shape: SessionShape(kind: .decoder, promptCapacity: 3, newCapacity: 2))
    _ = try batch.deal(session: 0, program: bundle.program, weights: bundle)
    let outcome = try Self.tool.run(
      Self.arguments(files, batch) + ["--dealer", "\(batch.folder)/dealer.batch"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    for kind in ["view", "linear", "multiply", "polynomial", "piecewiseLinear"] {
      #expect(outcome.output.contains("\(kind): 4 of "), "\(outcome.output)")
    }
    for kind in ["scores", "mix"] {
      #expect(outcome.output.contains("\(kind): 3 of 6 "), "\(outcome.output)")
    }
  }

  /// Decoder, encoder, and grouped queries with rotations of all or of half the columns of a head.
  enum TinyModel: String, CaseIterable {
    case opt, bert, llama, halfRotated, optByBits, bertByBits, optPermuted, bertPermuted,
      llamaPermuted

    private static var byBits: Recipe {
      var recipe = Recipe.accurate
      recipe.comparison = .bits
      return recipe
    }

    var isEncoder: Bool { [.bert, .bertByBits, .bertPermuted].contains(self) }

    func fixture() throws -> DealerFixture {
      let permuted = try #require(Recipe.shipped("permllm"))
      return switch self {
      case .optPermuted: try DealerFixture(.tiny(.opt(), recipe: permuted))
      case .bertPermuted: try DealerFixture(.tiny(.bert(), recipe: permuted))
      case .llamaPermuted: try DealerFixture(.tiny(.llama(), recipe: permuted))
      case .opt: try DealerFixture(.opt())
      case .bert: try DealerFixture(.bert())
      case .optByBits: try DealerFixture(.tiny(.opt(), recipe: Self.byBits))
      case .bertByBits: try DealerFixture(.tiny(.bert(), recipe: Self.byBits))
      case .llama: try DealerFixture(.tiny(.llama()))
      case .halfRotated:
        try DealerFixture(
          .tiny(.llama(heads: 3, keyHeads: 1, layout: .pairs, rotaryDimensions: 2)))
      }
    }
  }

  @Test(arguments: TinyModel.allCases)
  func everyOperationOfATinyModel(model: TinyModel) throws {
    let fixture = try model.fixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    let outcome = try Self.tool.run(
      Self.arguments(fixture.files, batch) + ["--operations", "1000", "--keys", "2"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    for (kind, count) in fixture.bundle.program.nodes.reduce(
      into: [String: Int](),
      {
        $0[$1.operation.name, default: 0] += 1
      }) where outcome.output.contains("\(kind):")
    {
      #expect(outcome.output.contains("\(kind): \(count) of \(count) operations checked"))
    }
  }

  /// Both parties in Python give what the exact simulator gives, bit for bit, from the same files.
  ///
  /// Prompt and text are shorter than the session allows, so that layouts matter.
  @Test(arguments: TinyModel.allCases)
  func sessionRunInPython(model: TinyModel) throws {
    let fixture = try model.fixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    // A decoder's second step has a draft, which is rejected where there are slots for a third.
    var steps: [(tokens: [Int], request: StepRequest)] = [([7, 3], StepRequest(rowCount: 2))]
    if !model.isEncoder {
      steps.append(([10, 2], StepRequest(rowCount: 2, keptCount: 2, outputCount: 2)))
      steps.append(([4], StepRequest(rowCount: 1, keptCount: 1)))
    }
    let texts = steps.map { tokens, request in
      let kept = request.keptCount.map { ", \"kept\": \($0)" } ?? ""
      return "{\"tokens\": \(tokens), \"outputs\": \(request.outputCount)\(kept)}"
    }
    let outcome = try PythonTool("run-session").run(
      Self.arguments(fixture.files, batch) + [
        "--tokens", "[\(texts.joined(separator: ","))]", "--openings",
        fixture.files.scratch.file("openings.json"),
      ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let words = outcome.output.split { $0 == " " || $0 == "\n" }.map { UInt64($0, radix: 16) }

    let openings = try Self.openings(fixture.files.scratch.file("openings.json"))
    let program = fixture.bundle.program
    var simulator = RingSimulator(
      program: program, weights: try fixture.files.encodedWeights(),
      streams: (0...1).map { batch.seeds.streams(session: 0, party: $0) })
    var expected: [UInt64] = []
    var progress = SessionProgress(fixture.shape)
    for (index, (tokens, request)) in steps.enumerated() {
      var input = [UInt64](repeating: 0, count: tokens.count * program.vocabularySize)
      for (place, token) in tokens.enumerated() {
        input[place * program.vocabularySize + token] = 1
      }
      simulator.opened = openings[index]
      expected += simulator.step(try progress.next(request), input: input)
    }
    #expect(!expected.isEmpty && words == expected)
  }

  /// What each step opened by node, as `run-session` writes it.
  static func openings(_ path: String) throws -> [[Int: [UInt64]]] {
    let steps = try JSONDecoder().decode(
      [[String: [String]]].self, from: Data(contentsOf: URL(filePath: path)))
    return steps.map { step in
      Dictionary(
        uniqueKeysWithValues: step.map { node, words in
          (Int(node) ?? -1, words.map { UInt64($0, radix: 16) ?? 0 })
        })
    }
  }

  /// A session hides the last bits of the factors in later truncations: the vectors do not.
  @Test func rotationFactorsInPython() throws {
    let outcome = try PythonTool("lodge/verification/rotation.py").run([
      Repository.root.appending(path: "formats/vectors/rotation.json").path
    ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output == "127 factors checked\n")
  }

  /// Expects one line of error that holds `cause`.
  static func expectFailure(_ arguments: [String], _ cause: String) throws {
    let outcome = try tool.run(arguments)
    #expect(outcome.status == 1)
    #expect(outcome.errorLines.count == 1, "\(outcome.errors)")
    #expect(outcome.errors.hasPrefix("check-session: error: "))
    #expect(outcome.errors.contains(cause), "\(outcome.errors)")
  }

  @Test func wrongFilesAreRefusedInOneLine() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    let right = Self.arguments(fixture.files, batch)
    try Self.expectFailure([right[0], right[1], right[3], right[2]], "party: 1 is not 0")
    _ = try fixture.files.shareAgain(into: "again")
    try Self.expectFailure(
      (0...1).map { fixture.folder("again/party\($0).bundle") } + right.suffix(2), "conversion: ")
    _ = try fixture.deal(batch, session: 1)
    try Self.expectFailure(
      [right[0], right[1], right[2], batch.path(party: 1, session: 1)], "session: 1 is not 0")
    let damaged = fixture.folder("damaged.corr")
    for fraction in [0.4, 0.7] {
      try DamagedFile.invertBytes(right[2], to: damaged, at: fraction)
      try Self.expectFailure([right[0], right[1], damaged, right[3]], "damaged.corr")
    }
    let other = try fixture.batch("other")
    _ = try fixture.deal(other)
    try Self.expectFailure(
      right + ["--dealer", "\(other.folder)/dealer.batch"], "is not the batch of the sessions")
  }

  /// A file whose digests fit but whose seed was replaced: only the algebra can tell.
  @Test func wrongSeedBreaksTheAlgebra() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    _ = try fixture.deal(batch, session: 1)
    var right = Self.arguments(fixture.files, batch)
    let copy = fixture.folder("changed.corr")
    try DamagedFile.rewrite(batch.path(party: 0, session: 1), to: copy) { $0["session"] = 0 }
    right[2] = copy
    try Self.expectFailure(right, "do not add up")
  }

  /// One wrong bit among thresholds and products of mask bits.
  @Test func wrongDealtBitBreaksTheAlgebra() throws {
    let fixture = try TinyModel.optByBits.fixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    let program = fixture.bundle.program
    let node = try #require(
      program.nodes.firstIndex {
        if case .piecewiseLinear(_, let function) = $0.operation {
          return function.comparison == .bits
        }
        return false
      })
    let bits = try #require(program.correlationComponents(node).indices.last)
    let party = program.holder(node: node, component: bits)
    var files = Self.arguments(fixture.files, batch)
    let copy = fixture.folder("changed.corr")
    try DamagedFile.rewrite(
      files[2 + party], to: copy,
      bytes: { if $0 == "operations/\(node)/\(bits)" { $1[$1.count - 8] ^= 1 } })
    files[2 + party] = copy
    files += ["--operations", "1000", "--keys", "1"]
    try Self.expectFailure(files, "operation \(node) (piecewiseLinear), component \(bits)")
  }
}
