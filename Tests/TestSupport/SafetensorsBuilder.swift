// Writes safetensors files for tests: well-formed ones, and ones with a given header.

public import Bytes

/// Collects tensors and lays them out one after the other in the order they were added.
public struct SafetensorsBuilder {
  private var entries: [String: JSON] = [:]
  private var data: [UInt8] = []

  public init() {}

  /// Adds a tensor of any type from its raw bytes.
  public mutating func add(_ name: String, type: String, shape: [Int], bytes: [UInt8]) {
    entries[name] = [
      "dtype": .string(type), "shape": .array(shape.map { .integer($0) }),
      "data_offsets": [.integer(data.count), .integer(data.count + bytes.count)],
    ]
    data += bytes
  }

  /// Adds an F32 tensor.
  public mutating func add(_ name: String, shape: [Int], values: [Float]) {
    let bytes = values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) }
    }
    add(name, type: "F32", shape: shape, bytes: bytes)
  }

  /// Bytes of all tensors so far.
  public var dataByteCount: Int { data.count }

  /// Puts anything under a key of the header.
  public mutating func setHeader(_ key: String, _ value: JSON) { entries[key] = value }

  /// The bytes of the file.
  public var bytes: [UInt8] {
    SafetensorsBuilder.bytes(header: Array(JSON.object(entries).text.utf8), data: data)
  }

  /// A file with exactly this header and data.
  public static func bytes(header: [UInt8], data: [UInt8]) -> [UInt8] {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    return length + header + data
  }
}
