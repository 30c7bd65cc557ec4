// What revealed patterns of running blocks give away: tokens, by patterns known, and the order of blocks.

import Models
import TestSupport

/// Patterns of a gated model as a party sees them, and what it makes of them.
struct BlockPatterns {
  /// One position: its token, and which blocks ran, of all layers one after the other.
  struct Row {
    var token: Int
    var bits: [Bool]
  }

  /// Blocks of each gated layer.
  let counts: [Int]
  private let interpreter: FloatInterpreter

  init(_ interpreter: FloatInterpreter) {
    self.interpreter = interpreter
    counts = interpreter.model.nodes.compactMap { node in
      if case .gates = node.operation { node.width } else { nil }
    }
  }

  /// The rows of `texts`, blocks in the model's order.
  func rows(_ texts: [[Int]]) throws -> [Row] {
    var result: [Row] = []
    for tokens in texts {
      var rows = tokens.map { Row(token: $0, bits: []) }
      _ = try interpreter.run(tokens: tokens) { [model = interpreter.model] node, kind, values in
        guard kind == .output, case .gates = model.nodes[node].operation else { return }
        let count = model.nodes[node].width
        for row in rows.indices {
          rows[row].bits += values[row * count..<(row + 1) * count].map { $0 > 0 }
        }
      }
      result += rows
    }
    return result
  }

  /// An order of the blocks of each layer: place i has the model's block order[i].
  func order(_ random: inout SplitMix) -> [Int] {
    var start = 0
    return counts.flatMap { count in
      defer { start += count }
      return Array(start..<start + count).shuffled(using: &random)
    }
  }

  func numbered(_ rows: [Row], _ order: [Int]) -> [Row] {
    rows.map { row in Row(token: row.token, bits: order.map { row.bits[$0] }) }
  }

  /// What is opened where of the blocks that do not run `noise` thousandths do all the same, by chance.
  static func noisy(_ rows: [Row], noise: Int, _ random: inout SplitMix) -> [Row] {
    rows.map { row in
      var row = row
      for block in row.bits.indices where random.next() % 1000 < UInt64(noise) {
        row.bits[block] = true
      }
      return row
    }
  }

  /// The share of `rows` whose token is that of the closest of the patterns that are `known`.
  static func readTokens(of rows: [Row], known: [Row]) -> Double {
    let patterns = known.map { words($0.bits) }
    var right = 0
    for row in rows {
      let seen = Self.words(row.bits)
      var (best, least) = (0, Int.max)
      for (index, other) in patterns.enumerated() {
        let distance = zip(seen, other).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
        if distance < least { (best, least) = (index, distance) }
      }
      if known[best].token == row.token { right += 1 }
    }
    return Double(right) / Double(max(rows.count, 1))
  }

  private static func words(_ bits: [Bool]) -> [UInt64] {
    var result = [UInt64](repeating: 0, count: (bits.count + 63) / 64)
    for (index, bit) in bits.enumerated() where bit {
      result[index / 64] |= 1 << UInt64(index % 64)
    }
    return result
  }

  /// Which block of the model each number stands for, guessed by how often blocks run, alone and
  /// together, in `seen` and in rows of the model itself.
  ///
  /// Numbers are assigned by frequency, and two of a layer are exchanged as long as that makes the
  /// frequencies of pairs, within layers and between them, more alike.
  func aligned(seen: [Row], model: [Row]) -> [Int] {
    let (a, b) = (Self.pairs(seen), Self.pairs(model))
    let total = counts.reduce(0, +)
    var guess = [Int](repeating: 0, count: total)
    var start = 0
    for count in counts {
      let layer = start..<start + count
      let numbers = layer.sorted { a[$0 * total + $0] > a[$1 * total + $1] }
      let blocks = layer.sorted { b[$0 * total + $0] > b[$1 * total + $1] }
      for (number, block) in zip(numbers, blocks) { guess[number] = block }
      start += count
    }
    for _ in 0..<8 {
      var changes = 0
      start = 0
      for count in counts {
        for i in start..<start + count {
          for j in i + 1..<start + count {
            var gain = 0.0
            for k in 0..<total where k != i && k != j {
              let (seenI, seenJ) = (a[i * total + k], a[j * total + k])
              let (modelI, modelJ) = (
                b[guess[i] * total + guess[k]], b[guess[j] * total + guess[k]]
              )
              gain +=
                abs(seenI - modelI) + abs(seenJ - modelJ) - abs(seenI - modelJ)
                - abs(seenJ - modelI)
            }
            let (selfI, selfJ) = (a[i * total + i], a[j * total + j])
            let (blockI, blockJ) = (
              b[guess[i] * total + guess[i]], b[guess[j] * total + guess[j]]
            )
            gain +=
              abs(selfI - blockI) + abs(selfJ - blockJ) - abs(selfI - blockJ)
              - abs(selfJ - blockI)
            if gain > 1e-12 {
              guess.swapAt(i, j)
              changes += 1
            }
          }
        }
        start += count
      }
      if changes == 0 { break }
    }
    return guess
  }

  /// How often each two blocks run in one row, of all rows.
  private static func pairs(_ rows: [Row]) -> [Double] {
    let total = rows.first?.bits.count ?? 0
    var result = [Double](repeating: 0, count: total * total)
    for row in rows {
      let running = row.bits.indices.filter { row.bits[$0] }
      for i in running { for j in running { result[i * total + j] += 1 } }
    }
    return result.map { $0 / Double(rows.count) }
  }
}
