// How often neurons fire, and when: statistics of bounded size that can be added to each other.

/// Counts of all positions, and the patterns of some of them: every `stride`-th.
///
/// When there are more patterns than `capacity`, every other one is dropped and the stride doubles.
public struct Activity: Equatable, Sendable {
  public let neuronCount: Int
  /// Patterns that are kept.
  public let capacity: Int
  public private(set) var positionCount = 0
  /// Positions at which each neuron fires: at which its value is not 0.
  public private(set) var counts: [Int]
  /// One bit a neuron, `wordCount` words a position.
  private var patterns: [UInt64] = []
  private var stride = 1

  public init(neuronCount: Int, capacity: Int = 4096) {
    precondition(neuronCount > 0 && capacity > 0, "there are neurons, and patterns are kept")
    self.neuronCount = neuronCount
    self.capacity = capacity
    counts = [Int](repeating: 0, count: neuronCount)
  }

  /// What `init(counts:patterns:stride:positionCount:)` takes beside what is public.
  var stored: (patterns: [UInt64], stride: Int) { (patterns, stride) }

  /// The statistics of `positionCount` positions from their parts; nil for parts that are none.
  init?(counts: [Int], patterns: [UInt64], stride: Int, positionCount: Int) {
    guard !counts.isEmpty, positionCount >= 0, stride > 0, stride & (stride - 1) == 0 else {
      return nil
    }
    self.init(neuronCount: counts.count)
    let patternCount = (positionCount + stride - 1) / stride
    guard patternCount <= capacity, patterns.count == patternCount * wordCount else { return nil }
    self.counts = counts
    self.patterns = patterns
    self.stride = stride
    self.positionCount = positionCount
    let unused = UInt64.max << UInt64(counts.count - 64 * (wordCount - 1))
    let isBeyond = counts.count.isMultiple(of: 64) ? 0 : unused
    for last in Swift.stride(from: wordCount - 1, to: patterns.count, by: wordCount)
    where patterns[last] & isBeyond != 0 { return nil }
    for (count, positions) in zip(counts, positions()) {
      let kept = positions.reduce(0) { $0 + $1.nonzeroBitCount }
      guard kept <= count, count <= positionCount, stride > 1 || kept == count else { return nil }
    }
  }

  private var wordCount: Int { (neuronCount + 63) / 64 }
  public var patternCount: Int { patterns.count / wordCount }

  /// Share of the neurons that fire at a position, on average; 0 for none.
  public var density: Double {
    let all = positionCount * neuronCount
    return all == 0 ? 0 : Double(counts.reduce(0, +)) / Double(all)
  }

  /// Adds positions: row-major [positions, neuronCount].
  public mutating func add(_ values: [Float]) {
    precondition(values.count.isMultiple(of: neuronCount), "rows are whole")
    for row in 0..<values.count / neuronCount {
      let first = row * neuronCount
      var words = [UInt64](repeating: 0, count: wordCount)
      for neuron in 0..<neuronCount where values[first + neuron] != 0 {
        counts[neuron] += 1
        words[neuron / 64] |= 1 << UInt64(neuron % 64)
      }
      if positionCount.isMultiple(of: stride) {
        patterns += words
        thin()
      }
      positionCount += 1
    }
  }

  /// Adds what was seen of other positions of the same neurons.
  public mutating func merge(_ other: Activity) {
    precondition(neuronCount == other.neuronCount, "statistics are of the same neurons")
    var other = other
    while stride < other.stride { halve() }
    while other.stride < stride { other.halve() }
    patterns += other.patterns
    positionCount += other.positionCount
    for neuron in counts.indices { counts[neuron] += other.counts[neuron] }
    thin()
  }

  private mutating func thin() {
    while patternCount > capacity { halve() }
  }

  private mutating func halve() {
    let words = wordCount
    var kept: [UInt64] = []
    for position in Swift.stride(from: 0, to: patternCount, by: 2) {
      kept += patterns[position * words..<(position + 1) * words]
    }
    patterns = kept
    stride *= 2
  }

  /// For each neuron the kept positions at which it fires, one bit each.
  func positions() -> [[UInt64]] {
    let words = wordCount
    let length = (patternCount + 63) / 64
    var result = [[UInt64]](repeating: [UInt64](repeating: 0, count: length), count: neuronCount)
    for position in 0..<patternCount {
      for word in 0..<words {
        var rest = patterns[position * words + word]
        while rest != 0 {
          let neuron = word * 64 + rest.trailingZeroBitCount
          result[neuron][position / 64] |= 1 << UInt64(position % 64)
          rest &= rest - 1
        }
      }
    }
    return result
  }
}
