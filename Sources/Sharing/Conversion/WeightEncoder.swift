// Static weights as ring elements, computed from a model's float tensors part by part.

public import Bytes
import CFloatKernels
import Foundation
public import Models
public import Program

/// Encodes the weights of a program from the weights of its model.
public struct WeightEncoder: Sendable {
  /// Most elements of a part: what is computed at once stays in the cache.
  static let partElementCount = 1 << 17

  private let source: String
  private let weights: any WeightSource
  private let columnMeans = ColumnMeans()
  /// Where blocks are put into a secret order.
  private let blockOrders: BlockOrders?

  /// `source` names the file of `weights` in errors.
  public init(source: String, weights: some WeightSource) {
    self.init(source: source, weights: weights, blockOrders: nil)
  }

  package init(source: String, weights: some WeightSource, blockOrders: BlockOrders?) {
    self.source = source
    self.weights = weights
    self.blockOrders = blockOrders
  }

  /// All elements of `weight`, as `encode(_:in:)` gives them.
  public func encode(_ weight: ProgramWeight) throws(InputError) -> [UInt64] {
    try encode(weight, in: 0..<weight.elementCount).words
  }

  /// Elements `elements` of `weight`, counted row-major, as two's complement with
  /// `weight.fractionalBits`, rounded to nearest, ties to even; and the bits below their signs that
  /// some of them use.
  ///
  /// - Throws: `InputError` when a tensor has another size or a value does not fit the ring.
  package func encode(_ weight: ProgramWeight, in elements: Range<Int>) throws(InputError)
    -> (words: [UInt64], usedBits: UInt64)
  {
    let hasBlocks = weight.source.rowBlocks != nil || weight.source.columnBlocks != nil
    if let blockOrders, hasBlocks { return try encode(weight, in: elements, blockOrders) }
    return try encodeOrdered(weight, in: elements)
  }

  /// The same with blocks in the order `orders`.
  private func encode(
    _ weight: ProgramWeight, in elements: Range<Int>, _ orders: BlockOrders
  ) throws(InputError) -> (words: [UInt64], usedBits: UInt64) {
    let count = weight.columnCount
    let rows = elements.lowerBound / count..<(elements.upperBound - 1) / count + 1
    let columns = (0..<count).map { orders.original($0, of: count, weight.source.columnBlocks) }
    func original(_ row: Int) -> Int {
      orders.original(row, of: weight.rowCount, weight.source.rowBlocks)
    }
    var words: [UInt64] = []
    var used: UInt64 = 0
    var row = rows.lowerBound
    while row < rows.upperBound {
      // Rows that follow one another in the model, too.
      var end = row + 1
      while end < rows.upperBound, original(end) == original(row) + end - row { end += 1 }
      let first = original(row) * count
      let part = try encodeOrdered(weight, in: first..<first + (end - row) * count)
      for start in stride(from: 0, to: part.words.count, by: count) {
        for column in columns { words.append(part.words[start + column]) }
      }
      used |= part.usedBits
      row = end
    }
    let first = elements.lowerBound - rows.lowerBound * count
    return (Array(words[first..<first + elements.count]), used)
  }

  private func encodeOrdered(_ weight: ProgramWeight, in elements: Range<Int>) throws(InputError)
    -> (words: [UInt64], usedBits: UInt64)
  {
    let from = weight.source
    let scale = pow(2, Double(weight.fractionalBits))
    if let tensor = from.tensor, from.matrix == nil, from.addedRow == nil, !from.isCentred,
      !from.isColumnCentred, from.runCount == 1
    {
      let values = try weights.weight(tensor, in: elements)
      let columns = try from.columnScale.map { name throws(InputError) in
        try weights.weight(name, in: 0..<weight.columnCount)
      }
      if let result = WeightEncoder.encode(
        values, columns, firstColumn: elements.lowerBound % weight.columnCount,
        factor: from.factor, scale: scale)
      {
        return result
      }
    }
    let values = try realValues(weight, in: elements)
    return try encode(values.map { $0 * scale }, weight, elements)
  }

  /// The common case, several elements at a time; nil where a scaled value is 2^51 or more.
  private static func encode(
    _ values: [Float], _ columns: [Float]?, firstColumn: Int, factor: Double, scale: Double
  ) -> (words: [UInt64], usedBits: UInt64)? {
    var used: UInt64 = 0
    var isLarge = false
    let words = unsafe [UInt64](unsafeUninitializedCapacity: values.count) { target, count in
      unsafe values.withUnsafeBufferPointer { values in
        func encode(_ places: Range<Int>, _ columns: UnsafePointer<Float>?) {
          guard let source = values.baseAddress, let target = target.baseAddress else { return }
          let range = unsafe lodge_fixed_from_floats(
            source + places.lowerBound, columns, factor, scale, target + places.lowerBound,
            places.count)
          used |= range.used_bits
          isLarge = isLarge || range.is_large != 0
        }
        if let columns {
          unsafe columns.withUnsafeBufferPointer { columns in
            forEachRun(
              of: firstColumn..<firstColumn + values.count, columnCount: columns.count
            ) { places, column in
              unsafe encode(places, columns.baseAddress.map { unsafe $0 + column })
            }
          }
        } else {
          encode(0..<values.count, nil)
        }
      }
      count = values.count
    }
    return isLarge ? nil : (words, used)
  }

  /// The general case: scaled values of any size, one by one.
  private func encode(_ values: [Double], _ weight: ProgramWeight, _ elements: Range<Int>)
    throws(InputError) -> (words: [UInt64], usedBits: UInt64)
  {
    var words: [UInt64] = []
    var used: UInt64 = 0
    for (index, value) in zip(elements, values) {
      let rounded = value.rounded(.toNearestOrEven)
      guard abs(rounded) < 0x1p62 else {
        throw InputError(
          source, place: weight.name,
          "element \(index) does not fit the ring with \(weight.fractionalBits) fractional bits")
      }
      let word = Int64(rounded)
      words.append(UInt64(bitPattern: word))
      used |= UInt64(bitPattern: word ^ word >> 63)
    }
    return (words, used)
  }

  /// Elements `elements` of factor * (tensor * columnScale - row or column means + matrix vector +
  /// first row of addedRow), in double.
  public func realValues(_ weight: ProgramWeight, in elements: Range<Int>) throws(InputError)
    -> [Double]
  {
    if weight.source.isCentred {
      // A mean needs the whole row.
      let columns = weight.columnCount
      let rows = elements.lowerBound / columns..<(elements.upperBound + columns - 1) / columns
      let first = rows.lowerBound * columns
      let values = try realValues(weight, inRows: first..<rows.upperBound * columns)
      return Array(values[elements.lowerBound - first..<elements.upperBound - first])
    }
    return try realValues(weight, inRows: elements)
  }

  /// The same of whole rows, where means are subtracted.
  private func realValues(_ weight: ProgramWeight, inRows elements: Range<Int>) throws(InputError)
    -> [Double]
  {
    let from = weight.source
    let columns = weight.columnCount
    var values = [Double](repeating: 0, count: elements.count)
    if let name = from.tensor {
      let isRepeated = from.runCount > 1 && from.columnScale == nil && from.matrix == nil
      values =
        try
        (isRepeated
        ? Array(repeated(name, from.runCount)[elements]) : weights.weight(name, in: elements))
        .map(Double.init)
    }
    if let name = from.columnScale {
      let scale = try repeated(name, from.runCount)
      WeightEncoder.forEachRun(of: elements, columnCount: columns) { places, first in
        for place in places {
          values[place] *= Double(scale[first + place - places.lowerBound])
        }
      }
    }
    if from.isColumnCentred, let name = from.tensor {
      let means = try columnMeans.of(name, weights, columnCount: columns, rowCount: weight.rowCount)
      WeightEncoder.forEachRun(of: elements, columnCount: columns) { places, first in
        for place in places { values[place] -= means[first + place - places.lowerBound] }
      }
    }
    if from.isCentred {
      for start in stride(from: 0, to: values.count, by: columns) {
        let mean = values[start..<start + columns].reduce(0, +) / Double(columns)
        for index in start..<start + columns { values[index] -= mean }
      }
    }
    if let matrix = from.matrix, let vector = from.vector {
      try add(
        matrix: matrix, vector: repeated(vector, from.runCount), rows: elements, to: &values)
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

  /// The vector `name`, `runCount` times.
  private func repeated(_ name: String, _ runCount: Int) throws(InputError) -> [Float] {
    let run = try weights.weight(name)
    return runCount == 1 ? run : [[Float]](repeating: run, count: runCount).flatMap { $0 }
  }

  /// Adds rows `rows` of the product of a matrix and a vector.
  private func add(matrix: String, vector: [Float], rows: Range<Int>, to values: inout [Double])
    throws(InputError)
  {
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
