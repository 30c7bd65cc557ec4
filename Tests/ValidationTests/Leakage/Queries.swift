// Sessions of a provider and a curious user, as a source of what such a user sees.

import Models
import Program
import Randomness
import Sharing
import TestSupport

/// A model whose user asks one token a session, over and over.
struct Queries {
  let program: SecureProgram
  let weights: [[UInt64]]

  init(_ converted: ConvertedModel) {
    program = converted.program
    weights = converted.weights
  }

  /// A session with what its user saw, and the logits.
  struct Answer {
    var view: CuriousParty.View
    var logits: [Double]
    fileprivate var streams: SessionStreams
  }

  private let session = SessionShape(kind: .decoder, promptCapacity: 1, newCapacity: 1)

  /// Asks for `token` in session `number`, with `changes` of what the user sends.
  func ask(_ token: Int, number: Int, changes: [Int: [UInt64]] = [:]) throws -> Answer {
    let run = try TwoPartyRun(
      program: program, weights: weights, session: session,
      seed: Seed(bytes: Array(SHA256.digest(Array("query \(number)".utf8)))),
      deployment: .providerUser)
    let step = SessionStep(session: session, rows: 0..<1, index: 0)
    let user = Shared<CuriousParty?>(nil)
    let outputs = try run.run([((0..<program.vocabularySize).map { $0 == token ? 1 : 0 }, 1)]) {
      [program] channel, material in
      let curious = CuriousParty(
        channel, material, program: program, step: step, changes: changes)
      user.withLock { $0 = curious }
      return curious
    }
    return Answer(
      view: user.withLock { $0?.view.withLock { $0 } } ?? CuriousParty.View(),
      logits: program.outputValues(outputs[0]).map(Double.init),
      streams: run.batch.streams(session: 0, party: 0))
  }

  /// The node of `operation` with `label`.
  func node(_ label: String, where isWanted: (Operation) -> Bool) -> Int? {
    program.nodes.indices.first {
      program.nodes[$0].label == label && isWanted(program.nodes[$0].operation)
    }
  }

  func permutedNode(_ label: String) -> Int? {
    node(label) {
      if case .permuted = $0 { return true }
      return false
    }
  }

  /// A linear layer: its weight, and what a user may change of what it reads.
  struct Linear {
    var weight: WeightID
    /// The opening of what it reads: of the lowest bits where these were widened.
    var opening: Int
    /// The opening of the bits above, which the layer alone reads, where there is one.
    var widening: Int?
  }

  func linear(_ label: String) -> Linear? {
    var found: (WeightID, ValueID)?
    for node in program.nodes where node.label == label {
      if case .linear(let x, let weight) = node.operation { found = (weight, x) }
    }
    guard let (weight, x) = found, let opening = program.maskOpener(of: x) else { return nil }
    let widening = program.nodes.firstIndex {
      if case .widen = $0.operation { return $0.outputs.contains(x) }
      return false
    }
    return Linear(weight: weight, opening: opening, widening: widening)
  }

  /// The weights of a linear layer as the program has them, [outputs][inputs].
  func matrix(_ id: WeightID) -> [[Double]] {
    let weight = program.weights[id]
    let unit = Double(sign: .plus, exponent: -weight.fractionalBits, significand: 1)
    return (0..<weight.outputCount).map { output in
      (0..<weight.inputCount).map { input in
        let place =
          weight.isTransposed
          ? input * weight.columnCount + output : output * weight.columnCount + input
        return Double(Int64(bitPattern: weights[id][place])) * unit
      }
    }
  }

  /// The numbers that the user saw at `node`, in ascending order, as it may believe them to lie.
  func sorted(_ answer: Answer, _ node: Int) -> [Double] {
    let unit = unit(node)
    return (answer.view.permuted[node] ?? []).sorted().map { Double($0) * unit }
  }

  /// What the user sends for a permuted row, in the same order.
  func sortedResults(_ answer: Answer, _ node: Int) -> [Double] {
    guard case .permuted(let x, let function) = program.nodes[node].operation else { return [] }
    let numbers = (answer.view.permuted[node] ?? []).sorted()
    let words = function.results(
      numbers.map { function.opening.reduced(UInt64(bitPattern: $0)) }[...],
      inputBits: program.permutedBits(x, function))
    let (unused, scale) = (
      UInt64(64 - function.resultBits),
      Double(sign: .plus, exponent: -function.fractionalBits, significand: 1)
    )
    return words.map { Double(Int64(bitPattern: $0 &<< unused) &>> Int64(unused)) * scale }
  }

  /// Which elements the numbers of `sorted` are: what only the provider knows.
  func elements(_ answer: Answer, _ node: Int) -> [Int] {
    let numbers = answer.view.permuted[node] ?? []
    var sampler = PermutationSampler(answer.streams.permutation(node: node, row: 0))
    let order = sampler.permutation(count: numbers.count)
    return numbers.indices.sorted { (numbers[$0], $0) < (numbers[$1], $1) }.map { Int(order[$0]) }
  }

  private func unit(_ node: Int) -> Double {
    guard case .permuted(let x, let function) = program.nodes[node].operation else { return 1 }
    return Double(sign: .plus, exponent: -program.permutedBits(x, function), significand: 1)
  }
}
