// How much memory work on weights may take, and how it is divided.

import Foundation

/// A bound on what a conversion holds in memory at one time, whatever the size of the model.
public struct MemoryBudget: Equatable, Sendable {
  public var byteCount: Int

  /// What tools accept: below this the parts become so small that reading them dominates.
  public static let smallestByteCount = 128 << 20
  public static let `default` = MemoryBudget(byteCount: 1 << 30)

  public init(byteCount: Int) { self.byteCount = byteCount }

  /// Elements of a part of a weight: with 16 bytes each on every core, 1/8 of the budget.
  public var weightPartElementCount: Int {
    max(byteCount / 128 / ProcessInfo.processInfo.activeProcessorCount, 1 << 12)
  }

  /// What activations of the texts that run together may take: one half.
  public var activationByteCount: Int { byteCount / 2 }

  /// Weights up to this size are kept once read: a quarter.
  public var residentWeightByteCount: Int { byteCount / 4 }

  /// The ranges of elements that a tensor is worked on in.
  public func parts(elementCount: Int) -> [Range<Int>] {
    parts(rowCount: elementCount, columnCount: 1)
  }

  /// The ranges of rows that a matrix with `columnCount` columns is worked on in.
  public func parts(rowCount: Int, columnCount: Int) -> [Range<Int>] {
    let rows = max(1, weightPartElementCount / max(columnCount, 1))
    return stride(from: 0, to: rowCount, by: rows).map { $0..<min($0 + rows, rowCount) }
  }
}
