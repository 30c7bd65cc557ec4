// Static weights as ring elements, computed from a model's float tensors.

public import Bytes
import Foundation
public import Program
import Rings

/// Encodes the weights of a program from named float tensors.
public struct WeightEncoder {
  private let source: String
  private let tensor: (String) throws(InputError) -> [Float]

  /// `tensor` gives a tensor's elements row-major; `source` names their file in errors.
  public init(source: String, tensor: @escaping (String) throws(InputError) -> [Float]) {
    self.source = source
    self.tensor = tensor
  }

  /// Elements of `weight` as two's complement with `weight.fractionalBits`, rounded to nearest.
  ///
  /// - Throws: `InputError` when a tensor has another size or a value does not fit the ring.
  public func encode(_ weight: ProgramWeight) throws(InputError) -> [UInt64] {
    let values = try realValues(weight)
    let scale = pow(2, Double(weight.fractionalBits))
    var result = [UInt64](repeating: 0, count: values.count)
    for (index, value) in values.enumerated() {
      let scaled = (value * scale).rounded(.toNearestOrEven)
      guard abs(scaled) < 0x1p62 else {
        throw InputError(
          source, place: weight.name,
          "element \(index) does not fit the ring with \(weight.fractionalBits) fractional bits")
      }
      result[index] = UInt64(bitPattern: Int64(scaled))
    }
    return result
  }

  /// factor * (tensor * columnScale - row means + matrix vector + first row of addedRow), in double.
  public func realValues(_ weight: ProgramWeight) throws(InputError) -> [Double] {
    let from = weight.source
    let columns = weight.columnCount
    var values = [Double](repeating: 0, count: weight.elementCount)
    func load(_ name: String, count: Int) throws(InputError) -> [Float] {
      let elements = try tensor(name)
      guard elements.count == count else {
        throw InputError(
          source, place: name, "\(elements.count) elements where \(weight.name) needs \(count)")
      }
      return elements
    }
    if let name = from.tensor {
      values = try load(name, count: weight.elementCount).map(Double.init)
    }
    if let name = from.columnScale {
      let scale = try load(name, count: columns)
      for index in values.indices { values[index] *= Double(scale[index % columns]) }
    }
    if from.isCentred {
      for start in stride(from: 0, to: values.count, by: columns) {
        var sum = 0.0
        for index in start..<start + columns { sum += values[index] }
        let mean = sum / Double(columns)
        for index in start..<start + columns { values[index] -= mean }
      }
    }
    if let matrixName = from.matrix, let vectorName = from.vector {
      let vector = try tensor(vectorName)
      let matrix = try load(matrixName, count: columns * vector.count)
      for row in 0..<columns {
        var sum = 0.0
        for (index, element) in vector.enumerated() {
          sum += Double(matrix[row * vector.count + index]) * Double(element)
        }
        values[row] += sum
      }
    }
    if let name = from.addedRow {
      let rows = try tensor(name)
      guard rows.count >= columns, rows.count % columns == 0 else {
        throw InputError(source, place: name, "rows of \(columns) columns are needed")
      }
      for index in values.indices { values[index] += Double(rows[index % columns]) }
    }
    if from.factor != 1 { for index in values.indices { values[index] *= from.factor } }
    return values
  }
}
