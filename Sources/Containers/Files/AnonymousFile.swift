// Files without names: where plaintext lies that no folder may hold.

public import Bytes
import CHDF5
import Glibc

/// Where files without names take their space from.
public enum Scratch: Equatable, Sendable {
  /// Memory of this machine: gone with the process, and never on a disk unless memory is swapped.
  case memory
  /// The disk of a folder: for files larger than memory. Freed blocks keep what was in them.
  case folder(String)
}

/// A file that no folder holds; it goes when it is closed, however the process ends.
public final class AnonymousFile: Sendable {
  public let descriptor: Int32
  /// The name of what it holds, for errors.
  public let name: String
  private let scratch: Scratch

  public init(_ scratch: Scratch, name: String) throws(InputError) {
    self.name = name
    self.scratch = scratch
    switch scratch {
    case .memory: descriptor = lodge_memory_file()
    case .folder(let folder): descriptor = unsafe lodge_nameless_file(folder)
    }
    if descriptor >= 0 { return }
    let code = errno
    switch scratch {
    case .memory: throw InputError(name, "no file in memory", system: code)
    case .folder(let folder):
      throw InputError(
        folder, "takes no file without a name", system: code,
        hint: "name a folder of a local file system (ext4, xfs, btrfs, tmpfs)")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Throws when `byteCount` bytes do not fit, before any are taken.
  public func check(byteCount: Int) throws(InputError) {
    switch scratch {
    case .folder(let folder):
      try DiskSpace.check(byteCount: byteCount, of: "the plaintext of \(name)", at: folder)
    case .memory:
      guard let available = AnonymousFile.availableMemory(), byteCount > available else { return }
      throw InputError(
        name,
        "its plaintext needs \(Quantity.text(byteCount: byteCount)) of memory, "
          + "\(Quantity.text(byteCount: available)) are available", system: ENOMEM,
        hint: "name a folder on an encrypted disk with --scratch DIR")
    }
  }

  /// Reads and writes without an offset start at the beginning again.
  public func rewind() { lseek(descriptor, 0, SEEK_SET) }

  /// Bytes that new files in memory can take without others being swapped out; nil where unknown.
  private static func availableMemory() -> Int? {
    guard
      let line = meminfo().split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    return kilobytes * 1024
  }

  /// The content of /proc/meminfo, a file without a size; empty where it cannot be read.
  private static func meminfo() -> String {
    let descriptor = unsafe open("/proc/meminfo", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 14)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe read(descriptor, $0.baseAddress, $0.count)
    }
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
  }
}
