// What party 1 recovers of a prompt, where it has the model: rows of sorted numbers against candidates.

import Models
import Program
import Randomness
import TestSupport

/// Matches sorted rows with those of every token of the vocabulary, one token after the other.
///
/// Rows of a decoder depend on the tokens before alone: whoever has these tries all that may come next
/// (Thomas et al. 2025, arXiv 2505.18332). Texts of an encoder are tried as a whole.
struct TokenMatching {
  let converted: ConvertedModel
  private var program: SecureProgram { converted.program }

  /// What a node reads, to whoever has the model and to party 1.
  struct Place {
    /// The permuted function, or the opening whose words party 1 takes for numbers where nothing is.
    var node: Int
    /// The first nodes of the graph, which end in what the node reads.
    var interpreter: FloatInterpreter
  }

  func place(_ label: String) -> Place? {
    func isSeen(_ operation: Operation) -> Bool {
      switch operation {
      case .permuted, .open: true
      default: false
      }
    }
    let model = converted.loaded.model
    guard let name = model.nodes.firstIndex(where: { $0.name == label }),
      let node = program.nodes.indices.first(where: {
        program.nodes[$0].label == label && isSeen(program.nodes[$0].operation)
      })
    else { return nil }
    let input = model.nodes[name].operation.inputs[0]
    return Place(node: node, interpreter: converted.interpreter.prefix(input + 1))
  }

  /// What party 1 of two servers sees at `node` of one prompt, in whole.
  private func view(_ tokens: [Int], _ node: Int, number: Int) throws -> [Double] {
    let isDecoder = program.kind.isDecoder
    let session = SessionShape(
      kind: program.kind, promptCapacity: tokens.count, newCapacity: isDecoder ? 1 : 0)
    let run = try TwoPartyRun(
      program: program, weights: converted.weights, session: session,
      seed: Seed(bytes: Array(SHA256.digest(Array("prompt \(number)".utf8)))))
    let step = SessionStep(
      session: session, rows: 0..<tokens.count, index: 0, promptLength: tokens.count)
    let party = Shared<CuriousParty?>(nil)
    _ = try run.run([(converted.oneHot(tokens), tokens.count)]) { [program] channel, material in
      let curious = CuriousParty(channel, material, program: program, step: step)
      party.withLock { $0 = curious }
      return curious
    }
    let view = party.withLock { $0?.view.withLock { $0 } } ?? CuriousParty.View()
    guard case .permuted(let x, let function) = program.nodes[node].operation else {
      guard case .open(let x, let opening) = program.nodes[node].operation else { return [] }
      var words = [UInt64](repeating: 0, count: step.elementCount(program.values[x].shape))
      opening.add((view.received[node] ?? [])[...], to: &words)
      let unused = UInt64(64 - opening.bits)
      return words.map { Double(Int64(bitPattern: $0 &<< unused) &>> Int64(unused)) }
    }
    let unit = Double(sign: .plus, exponent: -program.permutedBits(x, function), significand: 1)
    let bits = Int64(function.opening.bits)
    let absent = Int64(-1) &<< (bits - 1)
    return (view.permuted[node] ?? []).filter { $0 != absent }.map { Double($0) * unit }
  }

  /// The tokens that fit each row best, after those that were found before.
  func prompt(_ tokens: [Int], _ place: Place, number: Int) throws -> [Int] {
    let seen = try view(tokens, place.node, number: number)
    let width = seen.count / tokens.count
    var found: [Int] = []
    for row in tokens.indices {
      let candidates = (0..<program.vocabularySize).map { found + [$0] }
      let best = try closest(
        Array(seen[row * width..<(row + 1) * width]), candidates, place.interpreter
      ) {
        Array($0.row($0.rowCount - 1))
      }
      found = candidates[best]
    }
    return found
  }

  /// Which of the `candidates` is the text, by all of its numbers.
  func text(_ tokens: [Int], among candidates: [[Int]], _ place: Place, number: Int) throws -> Int {
    try closest(view(tokens, place.node, number: number), candidates, place.interpreter) {
      $0.values
    }
  }

  private func closest(
    _ seen: [Double], _ candidates: [[Int]], _ interpreter: FloatInterpreter,
    _ row: (FloatMatrix) -> [Float]
  ) throws -> Int {
    // Programs leave means out where nothing but LayerNorms reads them.
    func centred(_ numbers: [Double]) -> [Double] {
      let mean = numbers.reduce(0, +) / Double(numbers.count)
      return numbers.map { $0 - mean }.sorted()
    }
    let sorted = centred(seen)
    var (best, least) = (0, Double.infinity)
    try interpreter.run(
      texts: candidates, source: "candidates",
      receive: { index, matrix in
        let distance = zip(centred(row(matrix).map(Double.init)), sorted).reduce(0) {
          $0 + abs($1.0 - $1.1)
        }
        if distance < least { (best, least) = (index, distance) }
      })
    return best
  }
}
