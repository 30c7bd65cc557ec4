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
  private let interpreter: FloatInterpreter
  private var progress: SessionProgress
  private var text: [Int] = []
  private var last: [Int] = []
  private(set) var stepCount = 0

  init(_ interpreter: FloatInterpreter, promptCapacity: Int, newCapacity: Int) {
    let size = interpreter.model.vocabularySize
    self.interpreter = interpreter
    identity = PartyIdentity(
      party: 0, programDigest: [], conversionDigest: [], inputWidth: size, outputWidth: size,
      isDecoder: true, outputFractionalBits: 24)
    progress = SessionProgress(
      SessionShape(
        kind: .decoder, promptCapacity: promptCapacity, newCapacity: newCapacity))
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

  func end() {}
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
        prompt: prompt, newCount: 32, newCapacity: 64, drafter: drafter)
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

  /// Wrong guesses never take a row that a wanted token needs, nor change one.
  @Test(arguments: [12, 13, 15, 24]) func draftsLeaveRoomForTokens(newCapacity: Int) throws {
    struct Wrong: Drafter {
      func draft(after text: [Int], most: Int) -> [Int] { (0..<most).map { (text.last ?? 0) + $0 } }
    }
    let (model, source) = try RecipeProgramTests.model("llama")
    let interpreter = try FloatInterpreter(model, weights: source)
    func tokens(_ drafter: Wrong?) throws -> [Int] {
      let session = FloatSession(interpreter, promptCapacity: 2, newCapacity: newCapacity)
      return try SecureGeneration(session: session, tables: nil).run(
        prompt: [2, 5], newCount: 4, newCapacity: newCapacity, drafter: drafter
      ).newTokens
    }
    #expect(try tokens(Wrong()) == tokens(nil))
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
