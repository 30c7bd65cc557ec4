// Copies of files with one thing wrong in them, and the errors that they cause.

public import Bytes
import Containers
import Foundation

/// Makes files that are whole but for one field or byte.
public enum DamagedFile {
  /// Copies the container at `path` with another header; its digests fit again.
  ///
  /// Datasets of all types that files of ours have are copied, except those named in `without`;
  /// `words` may change those of each of type u64, and bits of f32, `bytes` those of type u8.
  public static func rewrite(
    _ path: String, to copy: String, kind: String? = nil, without removed: Set<String> = [],
    header change: (inout [String: JSON]) -> Void = { _ in },
    words changeWords: (String, inout [UInt64]) -> Void = { _, _ in },
    bytes changeBytes: (String, inout [UInt8]) -> Void = { _, _ in }
  ) throws {
    let reader = try ContainerReader(path: path, kind: nil, verifying: false)
    guard case .object(var members) = reader.header else { return }
    change(&members)
    let datasets = reader.datasets.filter { !removed.contains($0.name) }
    let writer = try ContainerWriter(
      path: copy, kind: kind ?? reader.kind, header: .object(members), datasets: datasets)
    for dataset in datasets {
      let name = dataset.name
      switch dataset.elementType {
      case .u8:
        var bytes = try reader.read(name, as: UInt8.self)
        changeBytes(name, &bytes)
        try writer.write(name, values: bytes)
      case .u64:
        var words = try reader.read(name, as: UInt64.self)
        changeWords(name, &words)
        try writer.write(name, values: words)
      case .i64: try writer.write(name, values: reader.read(name, as: Int64.self))
      case .i32: try writer.write(name, values: reader.read(name, as: Int32.self))
      case .i16: try writer.write(name, values: reader.read(name, as: Int16.self))
      case .u16: try writer.write(name, values: reader.read(name, as: UInt16.self))
      case .f32:
        var words = try reader.read(name, as: Float.self).map { UInt64($0.bitPattern) }
        changeWords(name, &words)
        try writer.write(name, values: words.map { Float(bitPattern: UInt32($0)) })
      case .f64: try writer.write(name, values: reader.read(name, as: Double.self))
      default: throw InputError(path, place: name, "has a type that is not copied")
      }
    }
    _ = try writer.finish()
  }

  /// Changes the first byte of the first array whose name ends with `suffix`.
  public static func changeFirstByte(ofArray suffix: String, in path: String) throws {
    let names = try ContainerReader(path: path, kind: nil, verifying: false).datasets.map(\.name)
    let name = names.first { $0.hasSuffix(suffix) }
    let copy = path + ".changed"
    try rewrite(path, to: copy, bytes: { if $0 == name { $1[0] ^= 1 } })
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: copy, toPath: path)
  }

  /// Copies `path` with 4,200 bytes inverted from this fraction of its length on: more than the
  /// unused bytes that may stand between two arrays.
  public static func invertBytes(_ path: String, to copy: String, at fraction: Double) throws {
    var bytes = try Data(contentsOf: URL(filePath: path))
    let start = Int(Double(bytes.count) * fraction)
    for index in start..<min(start + 4200, bytes.count) { bytes[index] ^= 0xff }
    try bytes.write(to: URL(filePath: copy))
  }

  /// Copies the first part of `path`.
  public static func truncate(_ path: String, to copy: String, at fraction: Double) throws {
    let bytes = try Data(contentsOf: URL(filePath: path))
    try bytes.prefix(Int(Double(bytes.count) * fraction)).write(to: URL(filePath: copy))
  }
}

/// The `InputError` that `body` throws, or nil.
public func inputError(_ body: () throws -> Void) -> InputError? {
  do {
    try body()
    return nil
  } catch { return error as? InputError }
}

extension JSON {
  /// This value with the one at `path` (keys, and indices as decimal numbers) replaced or removed.
  public func setting(_ path: [String], to value: JSON?) -> JSON {
    guard let key = path.first else { return value ?? .null }
    let rest = Array(path.dropFirst())
    switch self {
    case .object(var members):
      members[key] =
        rest.isEmpty ? value : (members[key] ?? .null).setting(rest, to: value)
      return .object(members)
    case .array(var elements):
      guard let index = Int(key), elements.indices.contains(index) else { return self }
      elements[index] = elements[index].setting(rest, to: value)
      return .array(elements)
    default: return self
    }
  }
}
