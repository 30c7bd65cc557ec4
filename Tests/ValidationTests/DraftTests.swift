// Steps of several rows of which some are taken back: drafts that the client rejects.

import Approximation
import Bytes
import Models
import OnlineRuntime
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct DraftTests {
  /// What a client sends: drafts behind each token, of which the next step keeps some.
  struct Step {
    var tokens: [Int]
    var kept: Int?
    var outputs = 1
  }

  /// A prompt with a draft, drafts that are rejected in whole, in part and not at all, and a lone token:
  /// six positions in nine slots.
  static let steps = [
    Step(tokens: [2, 5, 4], outputs: 2), Step(tokens: [3, 8, 8], kept: 2, outputs: 3),
    Step(tokens: [6, 1], kept: 1, outputs: 2), Step(tokens: [2], kept: 2),
  ]

  /// A question, an answer with a draft that is rejected, a question of two tokens, and its answer.
  static let turns = [
    Step(tokens: [2, 5]), Step(tokens: [3, 8], outputs: 2), Step(tokens: [6, 1], kept: 1),
    Step(tokens: [4]),
  ]

  /// The text that every output is of, as the rows before it are kept.
  static func texts(_ steps: [Step]) -> [[[Int]]] {
    var kept: [Int] = []
    var last: [Int] = []
    return steps.map { step in
      kept += last.prefix(step.kept ?? last.count)
      last = step.tokens
      let first = step.tokens.count - step.outputs + 1
      return (first...step.tokens.count).map { kept + step.tokens[..<$0] }
    }
  }

  static func oneHot(_ tokens: [Int], _ program: SecureProgram) -> [UInt64] {
    tokens.flatMap { token in (0..<program.vocabularySize).map { $0 == token ? UInt64(1) : 0 } }
  }

  /// Two parties give the simulator's words, and these are near those of each text by itself.
  static func expectRun(
    _ program: SecureProgram, _ weights: [[UInt64]], kind: ModelKind, steps: [Step] = steps,
    deployment: Deployment = .twoServer, promptCapacity: Int = 3, within tolerance: Double = 0.01
  ) throws {
    let session = SessionShape(kind: kind, promptCapacity: promptCapacity, newCapacity: 8)
    let outputs = try SimulatedRun.compare(
      program, weights, session,
      steps: steps.map { step in
        (
          words: oneHot(step.tokens, program),
          request: StepRequest(
            rowCount: step.tokens.count, keptCount: step.kept, outputCount: step.outputs)
        )
      }, deployment: deployment
    ).outputs.map(program.outputValues)
    // Both are fixed point, with the noise of truncations of their own.
    var difference = LogitDifference()
    for (output, texts) in zip(outputs, Self.texts(steps)) {
      let width = output.count / texts.count
      #expect(output.count == width * texts.count)
      for (row, text) in texts.enumerated() {
        var simulator = RingSimulator(
          program: program, weights: weights, streams: (0...1).map(SimulatedRun.streams))
        let promptLength = kind == .prefixDecoder ? steps[0].tokens.count - steps[0].outputs + 1 : 1
        var alone: [Float] = []
        for (index, rows) in ([0..<promptLength] + (promptLength..<text.count).map { $0..<$0 + 1 })
          .enumerated()
        {
          alone = program.outputValues(
            simulator.step(
              SessionStep(
                session: SessionShape(kind: kind, promptCapacity: promptCapacity, newCapacity: 8),
                rows: rows,
                index: index, promptLength: promptLength),
              input: oneHot(Array(text[rows]), program)))
        }
        difference.add(alone, output[row * width..<(row + 1) * width])
      }
    }
    print("drafts: \(difference)")
    #expect(difference.mean < tolerance / 10 && difference.maximum < tolerance)
  }

  @Test(arguments: ["accurate", "fitted", "pcft"], ["opt", "gpt2", "llama"])
  func twoServers(name: String, family: String) throws {
    let recipe = try #require(Recipe.shipped(name))
    let (model, source) = try RecipeProgramTests.model(family)
    let whole = try RecipeProgramTests.Whole(model, source, recipe: recipe)
    #expect(whole.program.allowsRejection)
    try Self.expectRun(whole.program, whole.weights, kind: .decoder)
  }

  @Test(arguments: [
    ("gpt2", "accurate"), ("gpt2", "permllm"), ("gpt2", "elements"), ("llama", "permllm"),
  ])
  func providerAndUser(family: String, name: String) throws {
    let recipe = try #require(Recipe.shipped(name))
    let (model, source) = try RecipeProgramTests.model(family)
    let whole = try RecipeProgramTests.Whole(model, source, recipe: recipe)
    #expect(whole.program.allowsRejection)
    try Self.expectRun(
      whole.program, whole.weights, kind: .decoder, deployment: .providerUser)
  }

  /// Questions are rows of later steps: what was said before is not computed again.
  @Test(arguments: [
    ("opt", "accurate", Deployment.twoServer), ("gpt2", "fitted", .twoServer),
    ("llama", "pcft", .twoServer), ("gpt2", "permllm", .providerUser),
    ("opt", "accurate", .blindDealer),
  ])
  func questionsGoOn(family: String, name: String, deployment: Deployment) throws {
    let recipe = try #require(Recipe.shipped(name))
    let (model, source) = try RecipeProgramTests.model(family)
    let whole = try RecipeProgramTests.Whole(model, source, recipe: recipe)
    try Self.expectRun(
      whole.program, whole.weights, kind: .decoder, steps: Self.turns, deployment: deployment)
  }

  /// Where attention has a window as well, though nothing can be taken back there.
  @Test func questionsGoOnWithWindows() throws {
    let whole = try ConvertedGraph(TinyGraph(GraphKind("window") { $0.windows = [2, 2] }))
    var steps = Self.turns
    steps[1] = Step(tokens: [3])
    steps[2].kept = nil
    try Self.expectRun(whole.program, whole.weights, kind: .decoder, steps: steps)
  }

  /// A blind dealer's products are completed by slots as well.
  @Test func blindDealer() throws {
    let (model, source) = try RecipeProgramTests.model("opt")
    let whole = try RecipeProgramTests.Whole(
      model, source, recipe: #require(Recipe.shipped("accurate")))
    try Self.expectRun(
      whole.program, whole.weights, kind: .decoder, deployment: .blindDealer)
  }

  /// The context of a prefix decoder sees itself, whatever is rejected behind it.
  @Test func prefixDecoder() throws {
    let converted = try ChatGLMSimulationTests.converted.get()
    let (_, prompt, length) = try #require(ChatGLMSimulationTests.prompts().first { $0.2 <= 6 })
    var steps = Self.steps
    steps[0].tokens = prompt.tokens[..<length] + [steps[0].tokens[2]]
    steps[1].kept = length
    try Self.expectRun(
      converted.program, converted.weights, kind: .prefixDecoder, steps: steps,
      promptCapacity: 7, within: ChatGLMSimulationTests.tolerance)
  }

  /// A rejected row that comes again, with the same token at the same position, has other masks.
  @Test func noSlotIsOpenedTwice() throws {
    let (model, source) = try RecipeProgramTests.model("opt")
    let whole = try RecipeProgramTests.Whole(
      model, source, recipe: #require(Recipe.shipped("accurate")))
    let requests = [
      ([2, 5], StepRequest(rowCount: 2)), ([3, 8], StepRequest(rowCount: 2, outputCount: 2)),
      ([8], StepRequest(rowCount: 1, keptCount: 1)),
    ]
    let run = try TwoPartyRun(
      program: whole.program, weights: whole.weights,
      session: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 4),
      seed: SimulatedRun.seed)
    let outputs = try run.run(
      requests.map { (words: Self.oneHot($0, whole.program), request: $1) })
    let vocabulary = whole.program.vocabularySize
    for (a, b) in zip(outputs[1][vocabulary...], outputs[2]) {
      #expect(abs(Int64(bitPattern: a &- b)) < 1 << 40, "the row is the same")
    }
    let openings = run.openings.withLock { $0 }
    for (node, words) in openings[2] {
      guard case .open(_, let opening) = whole.program.nodes[node].operation, opening.bits > 40
      else { continue }
      #expect(Set(words).isDisjoint(with: openings[1][node] ?? []), "operation \(node)")
    }
  }

  /// A model that takes no rows back, and a run in which that is asked for.
  private static func takingNothingBack(_ kind: GraphKind) throws -> ConvertedGraph {
    let whole = try ConvertedGraph(TinyGraph(kind))
    #expect(!whole.program.allowsRejection)
    let run = try TwoPartyRun(
      program: whole.program, weights: whole.weights,
      session: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 3),
      seed: SimulatedRun.seed)
    let error = #expect(throws: InputError.self) {
      _ = try run.run([
        (
          words: Self.oneHot([2, 5], whole.program),
          request: StepRequest(rowCount: 2, outputCount: 2)
        ),
        (words: Self.oneHot([3], whole.program), request: StepRequest(rowCount: 1, keptCount: 1)),
      ])
    }
    #expect(error?.cause == "rows of this model cannot be taken back")
    return whole
  }

  /// Slots that are taken back have no columns among the keys of running heads.
  @Test func skippedHeadsTakeNothingBack() throws {
    _ = try Self.takingNothingBack(GraphKind.headGates[0])
  }

  @Test func windowsTakeNothingBack() throws {
    let whole = try Self.takingNothingBack(GraphKind("window") { $0.windows = [2, 2] })
    // A client that is told so by the parties' hello spends no session.
    let identity = PartyIdentity(
      party: 0, programDigest: [1], conversionDigest: [2], inputWidth: 11, outputWidth: 11,
      isDecoder: true, allowsRejection: whole.program.allowsRejection)
    for isDrafting in [false, true] {
      let refusal = inputError {
        try SecureGeneration.check(
          prompt: [2], source: "prompt", isDrafting: isDrafting, tables: nil, identity: identity)
      }
      #expect((refusal?.source == "--draft") == isDrafting)
    }
  }

  /// Only rows that were drafts may go, and every output and slot is there once.
  @Test func whatCannotBeIsRefused() throws {
    let session = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 4)
    func refusal(_ requests: [StepRequest]) -> String {
      var progress = SessionProgress(session)
      do throws(InputError) {
        for request in requests { _ = try progress.next(request) }
        return ""
      } catch { return error.description }
    }
    let prompt = StepRequest(rowCount: 4)
    #expect(refusal([prompt, StepRequest(rowCount: 3, outputCount: 3)]) == "")
    for (requests, cause) in [
      ([StepRequest(rowCount: 5)], "prompt has 5 tokens, sessions allow 4"),
      ([StepRequest(rowCount: 0)], "0 positions"),
      ([StepRequest(rowCount: 2, outputCount: 3)], "3 outputs of 2 rows"),
      (
        [prompt, StepRequest(rowCount: 4, outputCount: 1)], "8 positions are more than the 7 dealt"
      ),
      (
        [prompt, StepRequest(rowCount: 1, keptCount: 3)],
        "3 rows of a step of 4 with 1 outputs stay"
      ),
      ([prompt, StepRequest(rowCount: 1, keptCount: 5)], "5 rows of a step of 4"),
      (
        [
          prompt, StepRequest(rowCount: 2, outputCount: 2),
          StepRequest(rowCount: 1, keptCount: 0),
        ], "0 rows of a step of 2"
      ),
    ] {
      #expect(refusal(requests).contains(cause), "\(refusal(requests))")
    }
  }

  /// A row attends to the rows that are kept, at their slots.
  @Test func slotsAreNotPositions() throws {
    let session = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 8)
    var progress = SessionProgress(session)
    _ = try progress.next(StepRequest(rowCount: 3))
    _ = try progress.next(StepRequest(rowCount: 3, outputCount: 3))
    let step = try progress.next(StepRequest(rowCount: 2, keptCount: 1, outputCount: 2))
    #expect(step.rows == 6..<8)
    #expect(step.text.ranges == [0..<4, 6..<8])
    #expect(step.firstPosition == 4)
    #expect(step.outputs == 4..<6)
    #expect(step.keys(position: 5, window: nil) == 0..<6)
    // Rows 6 and 7 have 7 and 8 dealt keys; of the first slots 4 and 5 are gone.
    let scores = ValueShape(.step, .keys(heads: 1, halvings: 0))
    #expect(step.dealtRanges(scores) == [21..<25, 27..<28, 28..<32, 34..<36])
    #expect(
      step.padKeys([1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 16], scores)
        == [1, 2, 3, 4, 0, 0, 5, 11, 12, 13, 14, 0, 0, 15, 16])
  }
}
