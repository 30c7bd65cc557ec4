// Which function stands for which in a converted graph, so that both can be run and compared.

public import Approximation
import Bytes
import Foundation
public import Models
import Synchronization

/// A non-linear function of a node, and what a recipe puts in its place.
public struct ReplacedFunction: Sendable {
  /// Which function of a node it is; see `FunctionTable`.
  public enum Place: String, Sendable, CaseIterable {
    case activation
    /// cap * tanh(x / cap) of scores.
    case softCap
    /// A whole row of scores at once; the function itself is the weight of one score, relative to
    /// that of the largest.
    case softmax
    case exponential
    case reciprocal
    case reciprocalSquareRoot
  }

  public var node: String
  public var place: Place
  /// What is replaced, such as "gelu", and what by, for people.
  public var original: String
  public var replacement: String
  public var exact: FunctionTable.Function
  public var replaced: FunctionTable.Function
  /// For `softmax`.
  public var row: FunctionTable.RowFunction?
  /// Inputs for which the replacement is meant; outside it the ring may give anything.
  public var validRange: ClosedRange<Double>
  /// Inputs that the calibration made room for in the ring: beyond it the answer is anything. Nil is
  /// the valid range.
  public var ringRange: ClosedRange<Double>?
  /// An input outside of these that does no harm: epsilon alone, where what is multiplied by the
  /// result is zero.
  public var harmlessInput: Double?
  /// Inputs to draw: where the calibrated ones lie, with some room.
  public var drawnRange: ClosedRange<Double>
  /// Whether inputs spread over orders of magnitude.
  public var isLogarithmic: Bool
  /// What calibration saw, where it saw this function's inputs, and what to add to it: the epsilon
  /// of a normalisation.
  public var calibrated: Histogram?
  public var calibratedShift = 0.0

  /// The share of calibrated inputs between neighbours of `borders`, ascending; nil where none were
  /// observed.
  public func calibratedShares(borders: [Double]) -> [Double]? {
    guard let calibrated, calibrated.count > 0 else { return nil }
    let parts = borders.map { calibrated.share(upTo: $0 - calibratedShift) }
    return zip(parts, parts.dropFirst()).map { max($1 - $0, 0) }
  }
}

extension Histogram {
  /// The share of values up to `x`, those of a bin spread evenly inside it, but zeros at 0.
  func share(upTo x: Double) -> Double {
    var below = x >= 0 ? Double(zeroCount) : 0
    for (bin, all) in counts.enumerated() where all > 0 {
      let (low, high) = (Histogram.edges[bin], Histogram.edges[bin + 1])
      let count = low < 0 && high > 0 ? all - zeroCount : all
      if high <= x {
        below += Double(count)
      } else if low < x {
        below += Double(count) * (x - low) / (high - low)
      }
    }
    return below / Double(count)
  }
}

/// What a replaced function was given in an evaluation, and how far off it was there.
public struct FunctionStatistics: Sendable {
  public private(set) var inputs: ValueHistogram
  public private(set) var outsideCount = 0
  /// Inputs beyond the function's range in the ring.
  public private(set) var overflowCount = 0
  private var errorSum = 0.0
  /// max |replaced(x) - exact(x)| over the inputs.
  public private(set) var maximumError = 0.0

  init(_ function: ReplacedFunction) {
    inputs = ValueHistogram(range: function.drawnRange, isLogarithmic: function.isLogarithmic)
  }

  public var count: Int { inputs.total }
  /// Mean of |replaced(x) - exact(x)| over the inputs.
  public var meanError: Double { errorSum / Double(max(count, 1)) }
  /// Share of inputs outside the replacement's valid range.
  public var outsideShare: Double { Double(outsideCount) / Double(max(count, 1)) }

  mutating func add(_ x: Double, _ value: Double, _ function: ReplacedFunction) {
    inputs.add(x)
    if let harmless = function.harmlessInput, abs(x - harmless) <= harmless * 0x1p-20 { return }
    count(x, function)
    let error = abs(value - function.exact(x))
    errorSum += error
    maximumError = max(maximumError, error)
  }

  private mutating func count(_ x: Double, _ function: ReplacedFunction) {
    if !function.validRange.contains(x) { outsideCount += 1 }
    let ring = function.ringRange ?? function.validRange
    // Rounding at the end of a range is no overflow.
    let slack = max(abs(ring.lowerBound), abs(ring.upperBound)) * 0x1p-16
    if !(x >= ring.lowerBound - slack && x <= ring.upperBound + slack) { overflowCount += 1 }
  }

  /// A row of scores and the weights that they were given, against those of softmax.
  mutating func add(_ scores: [Double], _ weights: [Double], _ function: ReplacedFunction) {
    let largest = scores.max() ?? 0
    let sum = scores.reduce(0) { $0 + exp($1 - largest) }
    for (score, weight) in zip(scores, weights) {
      inputs.add(score)
      count(score, function)
      let error = abs(weight - exp(score - largest) / sum)
      errorSum += error
      maximumError = max(maximumError, error)
    }
  }

  mutating func add(_ other: FunctionStatistics) {
    inputs.add(other.inputs)
    outsideCount += other.outsideCount
    overflowCount += other.overflowCount
    errorSum += other.errorSum
    maximumError = max(maximumError, other.maximumError)
  }
}

/// A function table of replacements that remembers what each was called with.
final class RecordingFunctions: Sendable {
  private final class Record: Sendable {
    let function: ReplacedFunction
    let statistics: Mutex<FunctionStatistics>

    init(_ function: ReplacedFunction) {
      self.function = function
      statistics = Mutex(FunctionStatistics(function))
    }

    /// The replaced function's value at `input`, remembered.
    func callAsFunction(_ input: Double) -> Double {
      let value = function.replaced(input)
      statistics.withLock { $0.add(input, value, function) }
      return value
    }

    /// The replaced function's values at `inputs`, remembered.
    func callAsFunction(_ inputs: [Double]) -> [Double] {
      let values = inputs.map(function.replaced)
      statistics.withLock { statistics in
        for (x, value) in zip(inputs, values) { statistics.add(x, value, function) }
      }
      return values
    }
  }

  let table: FunctionTable
  private let records: [Record]

  init(_ functions: [ReplacedFunction]) {
    var table = FunctionTable()
    let records = functions.map(Record.init)
    for record in records {
      let function = record.function
      switch function.place {
      case .activation: table.activations[function.node] = { record($0) }
      case .softCap: table.softCaps[function.node] = { record($0) }
      case .softmax:
        table.softmaxes[function.node] = { row in
          let scores = row
          function.row?(&row)
          let weights = row
          record.statistics.withLock { $0.add(scores, weights, function) }
        }
      case .exponential:
        let reciprocal = records.first {
          $0.function.node == function.node && $0.function.place == .reciprocal
        }
        table.softmaxes[function.node] = { row in
          let largest = row.max() ?? 0
          row = record(row.map { $0 - largest })
          let sum = row.reduce(0, +)
          let factor = reciprocal.map { $0(sum) } ?? 1 / sum
          for index in row.indices { row[index] *= factor }
        }
      case .reciprocal: break  // Called with the sums of the node's exponential.
      case .reciprocalSquareRoot:
        table.reciprocalSquareRoots[function.node] = { record($0) }
      }
    }
    self.table = table
    self.records = records
  }

  /// In the order of the functions.
  var statistics: [FunctionStatistics] { records.map { $0.statistics.withLock { $0 } } }
}
