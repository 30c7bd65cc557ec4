// Generation with drafts: the same answer in fewer steps.

import Bytes
import Foundation
import Models
import OnlineRuntime
import Program
import TestSupport
import Testing
import Tokenization

/// The plaintext model in the place of both parties: what a client asks of a session, without the cost.
private final class FloatSession: SecureSession {
  let identity: PartyIdentity
  let key = SessionKey(batch: "float", session: 0)
  let counters = (party0: StepCounters(), party1: StepCounters())
  let aheadByteCount = 0
  let shape: SessionShape
  private let interpreter: FloatInterpreter
  private var progress: SessionProgress
  private var text: [Int] = []
  private var last: [Int] = []
  private(set) var stepCount = 0

  init(
    _ interpreter: FloatInterpreter, promptCapacity: Int, newCapacity: Int, bound: Double? = nil
  ) {
    let size = interpreter.model.vocabularySize
    self.interpreter = interpreter
    identity = PartyIdentity(
      party: 0, programDigest: [], conversionDigest: [], inputWidth: size, outputWidth: size,
      isDecoder: true, outputFractionalBits: 24,
      output: OutputDescription(meaning: .logits, bound: bound))
    shape = SessionShape(
      kind: .decoder, promptCapacity: promptCapacity, newCapacity: newCapacity)
    progress = SessionProgress(shape)
  }

  func step(rows: [UInt64], _ request: StepRequest) throws(InputError) -> [UInt64] {
    _ = try progress.next(request)
    stepCount += 1
    text += last.prefix(request.keptCount ?? last.count)
    last = stride(from: 0, to: rows.count, by: identity.inputWidth).map { start in
      rows[start...].firstIndex(of: 1).map { $0 - start } ?? 0
    }
    let output = try interpreter.run(tokens: text + last)
    return (output.rowCount - request.outputCount..<output.rowCount).flatMap { row in
      output.row(row).map { UInt64(bitPattern: Int64($0 * 0x1p24)) }
    }
  }

  func loss() -> InputError? { nil }

  func end() {}
}

/// Guesses that hardly ever come true.
private struct Wrong: Drafter {
  func draft(after text: [Int], most: Int) -> [Int] {
    (0..<most).map { ((text.last ?? 0) + $0) % 8 }
  }
}

struct DraftedGenerationTests {
  /// The committed prompts quote themselves, and so do their answers.
  @Test func repetitionTakesFewerSteps() throws {
    let folder = Repository.fixtures.appending(path: "opt-dickens-5m").path
    let loaded = try ModelLoader.load(path: folder)
    let interpreter = try FloatInterpreter(loaded.model, weights: loaded)
    let codec = try TextCodec(folder)
    let lines = try TextFile.read("\(folder)/repetitive.txt", isWhole: false)
    #expect(lines.count == 4)
    let prompt = try codec.encode([lines[0]], start: 2)[0]
    func answer(_ drafter: RepetitionDrafter?) throws -> ([Int], Int) {
      let session = FloatSession(interpreter, promptCapacity: prompt.count, newCapacity: 64)
      let result = try SecureGeneration(session: session, tables: nil).run(
        prompt: prompt, newCount: 32, drafter: drafter)
      #expect(result.stepSeconds.count == session.stepCount)
      #expect(result.rows.count == result.newTokens.count)
      return (result.newTokens, session.stepCount)
    }
    let (plain, steps) = try answer(nil)
    let (drafted, fewer) = try answer(RepetitionDrafter())
    #expect(drafted == plain)
    #expect(steps == 32)
    #expect(Double(steps) >= 1.8 * Double(fewer), "\(steps) and \(fewer) steps")
  }

  /// The same model with gates, which says nearly the same in plaintext, guesses most of the answer.
  @Test func aModelTakesFewerSteps() throws {
    func interpreter(_ name: String) throws -> FloatInterpreter {
      try FloatInterpreter(ModelLoader.load(path: Repository.fixtures.appending(path: name).path))
    }
    let (secure, small) = try (interpreter("opt-dickens-5m"), interpreter("opt-dickens-gated"))
    func answer(_ drafter: ModelDrafter?) throws -> (SecureGeneration.Result, Int) {
      let session = FloatSession(secure, promptCapacity: 4, newCapacity: 64)
      let result = try SecureGeneration(session: session, tables: nil).run(
        prompt: [2, 40, 71, 12], newCount: 32, drafter: drafter)
      return (result, session.stepCount)
    }
    let (plain, steps) = try answer(nil)
    let (drafted, fewer) = try answer(ModelDrafter(small))
    print(
      "a model drafts: \(steps) and \(fewer) steps, \(drafted.acceptedCount) of \(drafted.draftedCount)"
    )
    #expect(drafted.newTokens == plain.newTokens)
    #expect(Double(steps) >= 1.5 * Double(fewer), "\(steps) and \(fewer) steps")
    #expect(drafted.acceptedCount * 2 > drafted.draftedCount)
  }

  /// Wrong guesses never take a row that a wanted token needs, nor change one.
  @Test(arguments: [12, 13, 15, 24]) func draftsLeaveRoomForTokens(newCapacity: Int) throws {
    let (model, source) = try RecipeProgramTests.model("llama")
    let interpreter = try FloatInterpreter(model, weights: source)
    func tokens(_ drafter: Wrong?) throws -> [Int] {
      let session = FloatSession(interpreter, promptCapacity: 2, newCapacity: newCapacity)
      return try SecureGeneration(session: session, tables: nil).run(
        prompt: [2, 5], newCount: 4, drafter: drafter
      ).newTokens
    }
    #expect(try tokens(Wrong()) == tokens(nil))
  }

  /// What calibration never saw is said to programs too.
  @Test func answersBeyondTheCalibrationAreNamed() throws {
    let graph = TinyGraph.llama()
    let interpreter = try FloatInterpreter(graph.model, weights: graph)
    for (bound, isNamed) in [(1e-3, true), (1e6, false)] {
      let session = FloatSession(interpreter, promptCapacity: 2, newCapacity: 2, bound: bound)
      let result = try SecureGeneration(session: session, tables: nil).run(
        prompt: [2, 5], newCount: 2)
      #expect((result.warning != nil) == isNamed)
      guard case .object(let members) = GenerationSummary(result).json else {
        throw InputError("summary", "is no object")
      }
      #expect((members["warning"] != nil) == isNamed)
    }
  }

  /// Turn after turn in one session says what a session of its own says to the whole conversation.
  @Test(arguments: [false, true]) func aSessionGoesOn(withDrafts: Bool) throws {
    let loaded = try ModelLoader.load(
      path: Repository.fixtures.appending(path: "opt-dickens-5m").path)
    let interpreter = try FloatInterpreter(loaded.model, weights: loaded)
    let session = FloatSession(interpreter, promptCapacity: 2, newCapacity: 30)
    var generation = SecureGeneration(session: session, tables: nil, draftCapacity: 6)
    var sampler = TokenSampler.greedy
    var said = [2, 5]
    for (question, newCount) in [([], 3), ([7, 1], 3), ([4], 2)] {
      said += question
      let rest = try #require(generation.continuation(of: said))
      #expect(rest.count == (question.isEmpty ? 2 : question.count + 1))
      let (left, steps) = (generation.tokensLeft, session.stepCount)
      let result = try generation.answer(
        rest, newCount: newCount, drafter: withDrafts ? Wrong() : nil, sampler: &sampler)
      let alone = try SecureGeneration(
        session: FloatSession(interpreter, promptCapacity: said.count, newCapacity: newCount),
        tables: nil
      ).run(prompt: said, newCount: newCount)
      #expect(result.newTokens == alone.newTokens)
      #expect(result.stepSeconds.count == session.stepCount - steps)
      said += result.newTokens
      #expect(generation.text == said.dropLast())
      let wrongCount = result.draftedCount - result.acceptedCount
      #expect(generation.tokensLeft == left - rest.count - newCount + 1 - wrongCount)
    }
    // What does not fit is refused before anything is computed, and something shorter still fits.
    let (left, steps) = (generation.tokensLeft, session.stepCount)
    let error = #expect(throws: InputError.self) {
      _ = try generation.answer([3, 3], newCount: left - 1, sampler: &sampler)
    }
    #expect(error?.cause.contains("more than the \(left) that the session has left") == true)
    #expect(session.stepCount == steps && generation.tokensLeft == left)
    #expect(
      try generation.answer([3, 3], newCount: left - 2, sampler: &sampler).newTokens.count
        == left - 2)
    #expect(generation.tokensLeft == 1)
    // A past that reads otherwise is another conversation, and the same one asks nothing.
    #expect(generation.continuation(of: [2, 6] + said.dropFirst(2) + [1]) == nil)
    #expect(generation.continuation(of: generation.text) == nil)
  }

  @Test func whatStoodBeforeIsProposed() {
    let drafter = RepetitionDrafter()
    #expect(drafter.draft(after: [1, 2, 3, 9, 1, 2, 3], most: 3) == [9, 1, 2])
    // The longest suffix counts, and of equal ones the latest.
    #expect(drafter.draft(after: [2, 3, 7, 1, 2, 3, 8, 2, 3, 6, 1, 2, 3], most: 1) == [8])
    #expect(drafter.draft(after: [2, 3, 7, 2, 3, 8, 2, 3], most: 2) == [8, 2])
    // A text that repeats one token goes on with it.
    #expect(drafter.draft(after: [5, 4, 4, 4], most: 3) == [4, 4, 4])
    #expect(drafter.draft(after: [1, 2, 3], most: 3) == [])
    #expect(drafter.draft(after: [7, 7, 7], most: 0) == [])
  }
}
