// How much memory a running process has had, and what is in it.

import Bytes
import Foundation
import Testing

extension RunningTool {
  /// Bytes of memory that the tool has had at most.
  func peakMemory() throws -> Int {
    let text = try String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return 1024 * (try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }))
  }
}

/// The private writable memory of another process: heap, stacks and what it has mapped for itself.
struct ProcessMemory {
  let identifier: Int32

  /// Whether this user may read it; containers often forbid that.
  static let isReadable = {
    guard let process = try? RunningTool("lodge-party", ["--help"]) else { return false }
    // A process that has ended has no memory: the question is whether it may be opened.
    let path = "/proc/\(process.identifier)/mem"
    return FileHandle(forReadingAtPath: path) != nil
  }()

  /// Which of `needles` (of 32 bytes each) are somewhere in it.
  func found(_ needles: [String: [UInt8]]) throws -> Set<String> {
    precondition(needles.values.allSatisfy { $0.count == 32 }, "needles have 32 bytes")
    // By their first words, at any offset of eight bytes: what is searched for is words and seeds.
    let keys = Dictionary(
      grouping: needles.map { (word: ProcessMemory.word($0.value[...]), name: $0.key) },
      by: \.word
    ).mapValues { $0.map(\.name) }
    let maps = try String(contentsOfFile: "/proc/\(identifier)/maps", encoding: .utf8)
    let memory = try FileHandle(forReadingFrom: URL(filePath: "/proc/\(identifier)/mem"))
    var found: Set<String> = []
    for line in maps.split(separator: "\n") {
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count >= 5, fields[1].hasPrefix("rw"), fields[4] == "0" else { continue }
      let ends = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard ends.count == 2 else { continue }
      var position = ends[0]
      while position < ends[1] {
        let count = Int(min(ends[1] - position, 1 << 22))
        try memory.seek(toOffset: position)
        guard let bytes = try? memory.read(upToCount: count), !bytes.isEmpty else { break }
        unsafe bytes.withUnsafeBytes { raw in
          for offset in stride(from: 0, through: raw.count - 32, by: 8) {
            let word = unsafe raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard let names = keys[word] else { continue }
            let there = unsafe Array(raw[offset..<offset + 32])
            for name in names where needles[name] == there { found.insert(name) }
          }
        }
        position += UInt64(bytes.count)
      }
    }
    return found
  }

  private static func word(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
