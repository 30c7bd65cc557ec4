// Static weights as ring elements, computed from a model's float tensors part by part.

public import Bytes
import Foundation
public import Models
public import Program

/// Encodes the weights of a program from the weights of its model.
public struct WeightEncoder: Sendable {
  /// Most elements of a part: what is computed at once stays in the cache.
  static let partElementCount = 1 << 17

  private let source: String
  private let weights: any WeightSource

  /// `source` names the file of `weights` in errors.
  public init(source: String, weights: some WeightSource) {
    self.source = source
    self.weights = weights
  }

  /// All elements of `weight`, as `encode(_:in:)` gives them.
  public func encode(_ weight: ProgramWeight) throws(InputError) -> [UInt64] {
    try encode(weight, in: 0..<weight.elementCount)
  }

  /// Elements `elements` of `weight`, counted row-major, as two's complement with
  /// `weight.fractionalBits`, rounded to nearest, ties to even.
  ///
  /// - Throws: `InputError` when a tensor has another size or a value does not fit the ring.
  public func encode(_ weight: ProgramWeight, in elements: Range<Int>) throws(InputError)
    -> [UInt64]
  {
    var values = try realValues(weight, in: elements)
    let scale = pow(2, Double(weight.fractionalBits))
    var largest = 0.0
    for index in values.indices {
      values[index] *= scale
      largest = max(largest, abs(values[index]))
    }
    guard largest < 0x1p51 else { return try encodeLarge(values, weight, elements) }
    // Adding 3 * 2^51 leaves the rounded integer in the low bits of the number's fraction.
    let shift = 0x1.8p52
    return values.map { ($0 + shift).bitPattern &- shift.bitPattern }
  }

  /// The same for scaled values of any size, one by one.
  private func encodeLarge(_ values: [Double], _ weight: ProgramWeight, _ elements: Range<Int>)
    throws(InputError) -> [UInt64]
  {
    var result: [UInt64] = []
    for (index, value) in zip(elements, values) {
      let rounded = value.rounded(.toNearestOrEven)
      guard abs(rounded) < 0x1p62 else {
        throw InputError(
          source, place: weight.name,
          "element \(index) does not fit the ring with \(weight.fractionalBits) fractional bits")
      }
      result.append(UInt64(bitPattern: Int64(rounded)))
    }
    return result
  }

  /// Elements `elements` of factor * (tensor * columnScale + matrix vector + first row of addedRow),
  /// in double.
  public func realValues(_ weight: ProgramWeight, in elements: Range<Int>) throws(InputError)
    -> [Double]
  {
    let from = weight.source
    let columns = weight.columnCount
    var values = [Double](repeating: 0, count: elements.count)
    if let name = from.tensor {
      values = try weights.weight(name, in: elements).map(Double.init)
    }
    if let name = from.columnScale {
      let scale = try weights.weight(name, in: 0..<columns)
      WeightEncoder.forEachRun(of: elements, columnCount: columns) { places, first in
        for place in places {
          values[place] *= Double(scale[first + place - places.lowerBound])
        }
      }
    }
    if let matrix = from.matrix, let vector = from.vector {
      try add(matrix: matrix, vector: vector, rows: elements, to: &values)
    }
    if let name = from.addedRow {
      let row = try weights.weight(name, in: 0..<columns)
      WeightEncoder.forEachRun(of: elements, columnCount: columns) { places, first in
        for place in places {
          values[place] += Double(row[first + place - places.lowerBound])
        }
      }
    }
    if from.factor != 1 { for index in values.indices { values[index] *= from.factor } }
    return values
  }

  /// Calls `body` with the places in `elements` of each piece of a row, and its first column.
  private static func forEachRun(
    of elements: Range<Int>, columnCount: Int, _ body: (_ places: Range<Int>, _ column: Int) -> Void
  ) {
    var place = 0
    while place < elements.count {
      let column = (elements.lowerBound + place) % columnCount
      let end = min(place + columnCount - column, elements.count)
      body(place..<end, column)
      place = end
    }
  }

  /// Adds rows `rows` of the product of a matrix and a vector.
  private func add(matrix: String, vector: String, rows: Range<Int>, to values: inout [Double])
    throws(InputError)
  {
    let vector = try weights.weight(vector)
    let rowsPerPart = max(1, WeightEncoder.partElementCount / max(vector.count, 1))
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsPerPart) {
      let part = first..<min(first + rowsPerPart, rows.upperBound)
      let elements = try weights.weight(
        matrix, in: part.lowerBound * vector.count..<part.upperBound * vector.count)
      for (index, row) in part.enumerated() {
        var sum = 0.0
        for (column, element) in vector.enumerated() {
          sum += Double(elements[index * vector.count + column]) * Double(element)
        }
        values[row - rows.lowerBound] += sum
      }
    }
  }
}

extension ProgramWeight {
  /// The ranges of elements that the weight is encoded in, one on every core at a time.
  func parts(_ memory: MemoryBudget) -> [Range<Int>] {
    let length = min(WeightEncoder.partElementCount, memory.weightPartElementCount)
    return stride(from: 0, to: elementCount, by: length).map {
      $0..<min($0 + length, elementCount)
    }
  }
}
