// The checked header of a safetensors file. Rules: formats of the safetensors reference reader.

import Bytes

/// Reads length and JSON, then makes sure that the tensors tile the data exactly.
struct SafetensorsHeader {
  private(set) var tensors: [TensorDescription] = []
  private(set) var metadata: [String: String] = [:]

  private static let lengthByteCount = 8
  private static let metadataKey = "__metadata__"

  /// - Throws: `InputError` for the first rule that `file` breaks.
  init(_ file: MappedFile) throws(InputError) {
    let json = try SafetensorsHeader.json(of: file)
    let (members, offsets) = try JSON.parseObject(
      json, source: file.path, offset: SafetensorsHeader.lengthByteCount,
      valueLimit: JSON.maximumUntrustedValueCount)
    let data = SafetensorsHeader.lengthByteCount + json.count..<file.byteCount
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      do throws(InputError) {
        if name == SafetensorsHeader.metadataKey {
          metadata = try SafetensorsHeader.metadata(value, path: file.path)
        } else {
          tensors.append(try SafetensorsHeader.tensor(name, value, path: file.path, data: data))
        }
      } catch {
        throw error.located(at: offsets[name] ?? SafetensorsHeader.lengthByteCount)
      }
    }
    try checkTiling(of: data, path: file.path)
  }

  /// The bytes of the JSON header, after its length was compared with the limit and the file.
  private static func json(of file: MappedFile) throws(InputError) -> [UInt8] {
    guard file.byteCount >= lengthByteCount else {
      throw InputError(
        file.path, offset: file.byteCount,
        "too short for a safetensors file: \(file.byteCount) bytes, its header length "
          + "alone takes \(lengthByteCount)")
    }
    let declared = try file.bytes(in: 0..<lengthByteCount).reversed()
      .reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard declared <= UInt64(Safetensors.maximumHeaderByteCount) else {
      throw InputError(
        file.path, offset: 0,
        "header length \(declared) exceeds the limit of "
          + "\(Safetensors.maximumHeaderByteCount) bytes")
    }
    guard Int(declared) <= file.byteCount - lengthByteCount else {
      throw InputError(
        file.path, offset: 0,
        "header length \(declared) goes beyond the end of the file, "
          + "\(file.byteCount - lengthByteCount) bytes follow")
    }
    return try file.bytes(in: lengthByteCount..<lengthByteCount + Int(declared))
  }

  private static func metadata(_ value: JSON, path: String) throws(InputError) -> [String: String] {
    if value == .null { return [:] }
    guard case .object(let members) = value else {
      throw InputError(path, place: metadataKey, "expected a JSON object of strings")
    }
    var result: [String: String] = [:]
    for (key, value) in members.sorted(by: { $0.key < $1.key }) {
      guard case .string(let text) = value else {
        throw InputError(path, place: "\(metadataKey).\(key)", "expected a string")
      }
      result[key] = text
    }
    return result
  }

  private static func tensor(_ name: String, _ value: JSON, path: String, data: Range<Int>)
    throws(InputError) -> TensorDescription
  {
    func failure(_ cause: String) -> InputError { InputError(path, place: name, cause) }
    var reader = try JSONReader(value, source: path, place: name)
    let typeName = try reader.string("dtype")
    guard let type = ElementType(rawValue: typeName), !type.isBlock else {
      throw failure("unknown dtype \"\(typeName)\"")
    }
    let shape = try reader.integers("shape")
    let offsets = try reader.integers("data_offsets")
    try reader.finish()

    var count = 1
    for length in shape {
      guard length >= 0 else { throw failure("negative length in shape \(shape)") }
      let (product, overflow) = count.multipliedReportingOverflow(by: length)
      guard !overflow, product.multipliedReportingOverflow(by: type.byteCount).overflow == false
      else { throw failure("byte count of shape \(shape) overflows") }
      count = product
    }
    guard let byteCount = type.byteCount(ofElements: count) else {
      throw failure("shape \(shape) of \(typeName) does not fill whole bytes")
    }
    guard offsets.count == 2 else {
      throw failure("data_offsets has \(offsets.count) numbers, expected begin and end")
    }
    let (begin, end) = (offsets[0], offsets[1])
    guard 0 <= begin, begin <= end else {
      throw failure("data_offsets \(offsets) are not an ascending range")
    }
    guard end <= data.count else {
      throw failure("data_offsets \(offsets) go beyond the \(data.count) bytes of data")
    }
    guard end - begin == byteCount else {
      throw failure(
        "shape \(shape) of \(typeName) needs \(byteCount) bytes, data_offsets \(offsets) span "
          + "\(end - begin)")
    }
    return TensorDescription(
      name: name, shape: shape, type: type,
      byteRange: data.lowerBound + begin..<data.lowerBound + end)
  }

  /// Sorted by place, the tensors must follow each other without gap or overlap up to the last
  /// byte.
  private func checkTiling(of data: Range<Int>, path: String) throws(InputError) {
    let ordered = tensors.sorted {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound)
        < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
    }
    var position = data.lowerBound
    for tensor in ordered {
      guard tensor.byteRange.lowerBound >= position else {
        throw InputError(
          path, place: tensor.name, offset: tensor.byteRange.lowerBound,
          "begins inside another tensor, which ends at byte \(position)")
      }
      guard tensor.byteRange.lowerBound == position else {
        throw InputError(
          path, place: tensor.name, offset: tensor.byteRange.lowerBound,
          "begins after a gap: bytes from \(position) on belong to no tensor")
      }
      position = tensor.byteRange.upperBound
    }
    guard position == data.upperBound else {
      throw InputError(
        path, offset: position, "\(data.upperBound - position) bytes after the last tensor")
    }
  }
}
