// What gates are trained on and judged by: inputs of gates beside what blocks did.

import Models

/// Positions of some texts, in a bounded number: what a gate reads there, and the sum of magnitudes
/// and the number of neurons that fire in each block.
package struct GateSample {
  package let inputCount: Int
  package let blockCount: Int
  let capacity: Int
  /// Row-major [positions, inputCount].
  package private(set) var inputs: [Float] = []
  /// Row-major [positions, blockCount].
  package private(set) var masses: [Float] = []
  package private(set) var firing: [Float] = []
  package private(set) var rowCount = 0
  private var stride = 1
  private var seen = 0
  /// For each kept position what it has outside the blocks.
  private var outside: [(mass: Float, firing: Float)] = []

  package init(inputCount: Int, blockCount: Int, capacity: Int) {
    self.inputCount = inputCount
    self.blockCount = blockCount
    self.capacity = max(capacity, 1)
  }

  /// Bytes of a position.
  static func byteCount(inputCount: Int, blockCount: Int) -> Int {
    (inputCount + 2 * blockCount + 2) * MemoryLayout<Float>.size
  }

  /// Adds every `stride`-th of the rows of `source` [rows, inputCount] and of `hidden`
  /// [rows, neurons]; `blocks` is the block of each neuron, nil for one that is removed.
  package mutating func add(source: [Float], hidden: [Float], blocks: [Int?]) {
    let neurons = blocks.count
    for row in 0..<hidden.count / max(neurons, 1) where keeps(source, row) {
      let first = masses.count
      masses += repeatElement(0, count: blockCount)
      firing += repeatElement(0, count: blockCount)
      var rest: (mass: Float, firing: Float) = (0, 0)
      for neuron in 0..<neurons {
        let value = abs(hidden[row * neurons + neuron])
        guard value != 0 else { continue }
        if let block = blocks[neuron] {
          masses[first + block] += value
          firing[first + block] += 1
        } else {
          rest.mass += value
          rest.firing += 1
        }
      }
      finish(outside: rest)
    }
  }

  /// The same with what the blocks do, row-major [rows, blockCount]; every block counts as firing.
  package mutating func add(source: [Float], masses: [Float]) {
    for row in 0..<masses.count / max(blockCount, 1) where keeps(source, row) {
      self.masses += masses[row * blockCount..<(row + 1) * blockCount]
      firing += repeatElement(1, count: blockCount)
      finish(outside: (0, 0))
    }
  }

  /// Counts a row of `source`, and takes its input where it is one of those that are kept.
  private mutating func keeps(_ source: [Float], _ row: Int) -> Bool {
    seen += 1
    guard (seen - 1).isMultiple(of: stride) else { return false }
    inputs += source[row * inputCount..<(row + 1) * inputCount]
    return true
  }

  private mutating func finish(outside rest: (mass: Float, firing: Float)) {
    outside.append(rest)
    rowCount += 1
    if rowCount > capacity { halve() }
  }

  /// Of the kept positions, what lies outside the blocks.
  package var outsideMass: Double { outside.reduce(0) { $0 + Double($1.mass) } }
  package var outsideFiring: Double { outside.reduce(0) { $0 + Double($1.firing) } }

  private mutating func halve() {
    func everyOther(_ values: [Float], _ width: Int) -> [Float] {
      Swift.stride(from: 0, to: rowCount, by: 2).flatMap { values[$0 * width..<($0 + 1) * width] }
    }
    inputs = everyOther(inputs, inputCount)
    masses = everyOther(masses, blockCount)
    firing = everyOther(firing, blockCount)
    outside = Swift.stride(from: 0, to: rowCount, by: 2).map { outside[$0] }
    rowCount = outside.count
    stride *= 2
  }

  /// Some rows, in the order given: inputs and masses.
  func rows(_ numbers: ArraySlice<Int>) -> (inputs: [Float], masses: [Float]) {
    (
      numbers.flatMap { inputs[$0 * inputCount..<($0 + 1) * inputCount] },
      numbers.flatMap { masses[$0 * blockCount..<($0 + 1) * blockCount] }
    )
  }
}
