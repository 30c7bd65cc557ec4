// How much is dealt at once: sessions of a group, and the pieces of each operation.

import Bytes
import Models
import Program

/// What fits a memory budget, whatever the model and the number of sessions.
///
/// Nothing that is dealt depends on it.
package struct DealingPlan: Sendable {
  /// Sessions that are dealt together.
  package var sessionsPerGroup: Int
  /// Most words of the result of one product with a weight, and of masks that it reads.
  package var productWordCount: Int
  /// Most words of a part of a weight.
  package var weightWordCount: Int
  /// Most words that one thread computes at a time where it takes whole rows.
  package var taskWordCount: Int
  /// Words of all arrays of an operation on single elements that are computed together.
  package var elementWordCount = 1 << 16
  /// Bytes of comparison keys that are made together: they stay in the second-level cache until
  /// they are digested and written.
  package var keyByteCount = 1 << 19
  /// Rows of masks up to which they are made before the product rather than in it: a product is
  /// cut along a factor that is made in it, and few rows would leave cores idle.
  package var mostRowsInMemory = 191

  /// Every weight is expanded once for so many rows of masks; more would gain little, and hold
  /// finished sessions back.
  static let rowsPerGroup = 1024
  /// More sessions have too many open files.
  static let mostSessionsPerGroup = 32
  /// The process with libraries and program.
  private static let processByteCount = 80 << 20
  /// An open session file besides its arrays, and one array of it with its group, in libhdf5 and
  /// here; as measured.
  private static let fileByteCount = 512 << 10
  private static let arrayByteCount = 6 << 10

  /// What fits `memory` on `threadCount` threads.
  ///
  /// - Throws: `InputError` when it is too little for one row of an operation.
  init(
    _ program: SecureProgram, _ shape: SessionShape, _ memory: MemoryBudget,
    threadCount: Int
  ) throws(InputError) {
    let arrayCount = (0...1).reduce(0) {
      $0
        + CorrelationLayout.datasets(
          program, shape, party: $1, deployment: .twoServer, keys: .both
        ).count
    }
    // The files of a group are open, and those of the group before are being finished.
    let sessionByteCount =
      2 * (2 * DealingPlan.fileByteCount + arrayCount * DealingPlan.arrayByteCount)
    let available = memory.byteCount - DealingPlan.processByteCount - sessionByteCount
    let words = max(available, 0) / 8
    productWordCount = words / 4
    weightWordCount = words / 4
    // A task holds masks, results and shares of its part.
    taskWordCount = words / 16 / threadCount

    let largest = DealingPlan.largest(program, shape)
    let needed = max(
      4 * largest.productRow, 4 * largest.weightRow, 16 * threadCount * largest.taskRow,
      8 * elementWordCount * threadCount,
      // Two masks, two shares, a permutation, and what was dealt before and is being stored.
      8 * threadCount * largest.permuted)
    guard words >= needed else {
      let least = memory.byteCount - available + 8 * needed
      throw InputError(
        "--memory",
        "\(Quantity.text(byteCount: memory.byteCount)) are too little for this program and "
          + "session", hint: "give at least \((least >> 20) + 1)MiB")
    }
    sessionsPerGroup = max(
      1,
      min(
        DealingPlan.mostSessionsPerGroup,
        (DealingPlan.rowsPerGroup + shape.rowCapacity - 1) / shape.rowCapacity,
        productWordCount / max(1, largest.product), 1 + available / 8 / sessionByteCount))
  }

  /// Words of the longest row of a product's result or masks, of a stored weight, and of what a
  /// task computes; of the largest result of a product for one session; and of what is permuted
  /// together.
  private static func largest(_ program: SecureProgram, _ shape: SessionShape) -> (
    productRow: Int, weightRow: Int, taskRow: Int, product: Int, permuted: Int
  ) {
    var result = (productRow: 0, weightRow: 0, taskRow: 0, product: 0, permuted: 0)
    func rowLength(_ value: ValueID) -> Int { shape.longestRow(program.values[value].shape) }
    for node in program.nodes {
      switch node.operation {
      case .linear(let x, let id), .blockLinear(let x, _, let id):
        let weight = program.weights[id]
        let row = max(weight.inputCount, weight.outputCount)
        result.productRow = max(result.productRow, row)
        result.weightRow = max(result.weightRow, weight.columnCount)
        result.product = max(
          result.product, shape.dealtRowCount(program.values[x].shape.rows) * row)
      case .scale(_, let id):
        result.weightRow = max(result.weightRow, program.weights[id].columnCount)
      case .scores:
        result.taskRow = max(result.taskRow, rowLength(node.outputs.lowerBound))
      case .mix(let weights, _, _, _):
        result.taskRow = max(
          result.taskRow, rowLength(node.outputs.lowerBound), rowLength(weights))
      case .permuted(let x, let function):
        let ranges = SessionStep.dealing(shape).permutedRanges(program.values[x].shape, function)
        // A factor takes twice as much again.
        let parts = function.factor == nil ? 1 : 3
        result.permuted = ranges.reduce(result.permuted) { max($0, parts * $1.elements.count) }
      default: break
      }
    }
    return result
  }
}

extension SessionShape {
  /// Elements of the longest dealt row of a value.
  func longestRow(_ shape: ValueShape) -> Int {
    shape.columns.runCount
      * (0..<dealtRowCount(shape.rows)).reduce(0) {
        max($0, dealtRunLength(shape.columns, row: $1))
      }
  }

  /// The element at which each dealt row of a value begins, and their number at the end.
  func dealtRowOffsets(_ shape: ValueShape) -> [Int] {
    var offsets = [0]
    for row in 0..<dealtRowCount(shape.rows) {
      let length = dealtRunLength(shape.columns, row: row)
      offsets.append(offsets[row] + length * shape.columns.runCount)
    }
    return offsets
  }
}
