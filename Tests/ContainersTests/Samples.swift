// Small containers that the tests write, read and damage.

import Bytes
import Containers
import Foundation

/// A folder that goes away with the test.
final class ScratchFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "containers-\(UUID())")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appending(path: name).path }

  var contents: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted()
  }
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Sequence64 {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  static func words(_ count: Int, seed: UInt64) -> [UInt64] {
    var sequence = Sequence64(state: seed)
    return (0..<count).map { _ in sequence.next() }
  }
}

enum Sample {
  static let header: JSON = ["layers": 4, "name": "été", "seed": "00ff", "scale": 0.5]
  static let shares = Sequence64.words(15, seed: 1)
  static let table = (0..<600).map { Float($0 / 7) }

  static let datasets = [
    DatasetDescription(name: "shares", elementType: .u64, shape: [3, 5]),
    DatasetDescription(
      name: "public/table", elementType: .f32, shape: [20, 5, 6], storage: .zstd),
    DatasetDescription(name: "public/empty", elementType: .i8, shape: [0, 7]),
    DatasetDescription(name: "nothing", elementType: .u16, shape: [4, 0], storage: .zstd),
  ]

  /// Four datasets: both storages, a group, and both kinds of emptiness.
  @discardableResult
  static func write(to path: String, kind: String = "model") throws(InputError) -> [UInt8] {
    let writer = try ContainerWriter(
      path: path, kind: kind, header: header, datasets: datasets)
    try writer.write("public/table", values: table)
    try writer.write("shares", values: shares)
    return try writer.finish()
  }

  /// Throws unless everything that `write` stored is there.
  static func isIntact(_ reader: ContainerReader) throws(InputError) -> Bool {
    guard reader.header == header, reader.kind == "model" else { return false }
    let shares = try reader.read("shares", as: UInt64.self, shape: [3, 5])
    let table = try reader.read("public/table", as: Float.self, shape: [20, 5, 6])
    let empty = try reader.read("public/empty", as: Int8.self, shape: [0, 7])
    let nothing = try reader.read("nothing", as: UInt16.self, shape: [4, 0])
    return shares == Sample.shares && table == Sample.table && empty.isEmpty && nothing.isEmpty
  }
}

/// The error that `body` throws, or nil.
func failure(of body: () throws(InputError) -> Void) -> InputError? {
  do throws(InputError) {
    try body()
    return nil
  } catch {
    return error
  }
}
