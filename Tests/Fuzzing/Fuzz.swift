// The libFuzzer target of the checkpoint readers; tools/development/fuzz builds and runs it, SwiftPM does not.

import Bytes
import CZlib
import Checkpoints
import Glibc
import Models

/// Bytes in use, and the most that one input may have in use; counted by the allocator's hooks.
private enum Memory {
  nonisolated(unsafe) static var byteCount = 0
  nonisolated(unsafe) static var limit = Int.max
}

@_silgen_name("__sanitizer_install_malloc_and_free_hooks")
private func installHooks(
  _ malloc: @convention(c) (UnsafeRawPointer?, Int) -> Void,
  _ free: @convention(c) (UnsafeRawPointer?) -> Void
) -> CInt

@_silgen_name("__sanitizer_get_allocated_size")
private func allocatedByteCount(_ pointer: UnsafeRawPointer?) -> Int

/// A file that holds the input, in a folder with the config.json and weights of a tiny model.
private struct Target {
  let path: String
  /// A link to it, whose name makes it an index.
  let indexPath: String
  let descriptor: CInt
  let weights: any TensorSource

  /// Any one input is small against the 64 MiB that a file may take beyond its size.
  static let overheadByteCount = 64 << 20
  static let shared = try? Target()

  private init() throws(InputError) {
    let folder = unsafe getenv("LODGE_FUZZ_FOLDER").map { unsafe String(cString: $0) } ?? "."
    path = "\(folder)/input"
    indexPath = "\(folder)/input.index.json"
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    weights = try Safetensors(path: "\(folder)/model.safetensors")
    _ = unsafe installHooks(
      { _, byteCount in
        unsafe Memory.byteCount += byteCount
        guard unsafe Memory.byteCount <= Memory.limit else { trap() }
      }, { pointer in unsafe Memory.byteCount -= allocatedByteCount(pointer) })
  }

  /// Reads everything that can be read of the input; a pickle is put into an archive first, whose
  /// checksum no mutation would hit.
  func read(_ input: UnsafeBufferPointer<UInt8>) {
    let isPickle = unsafe input.count > 2 && input[0] == 0x80 && input[1] < 8 && input[2] != 0x8a
    let bytes = unsafe isPickle ? Archive.bytes(around: Array(input)) : Array(input)
    guard ftruncate(descriptor, 0) == 0,
      unsafe pwrite(descriptor, bytes, bytes.count, 0) == bytes.count
    else { return }
    unsafe Memory.limit = Memory.byteCount + bytes.count + Target.overheadByteCount
    defer { unsafe Memory.limit = .max }
    guard let format = (try? CheckpointFormat(contentOf: path)) ?? nil else {
      readText()
      return
    }
    guard let source = attempt({ () throws(InputError) in try source(in: format) }) else { return }
    for tensor in source.tensors {
      let values = attempt { () throws(InputError) in try source.floats(tensor.name) }
      guard let values else { continue }
      if values.count != tensor.elementCount { trap() }
      // A part must be what it is in the whole.
      let part = values.count / 3..<values.count - values.count / 4
      let again = attempt { () throws(InputError) in try source.floats(tensor.name, in: part) }
      if again?.map(\.bitPattern) != values[part].map(\.bitPattern) { trap() }
    }
    _ = attempt { () throws(InputError) in try ModelLoader.load(path: path) }
  }

  private func source(in format: CheckpointFormat) throws(InputError) -> any TensorSource {
    switch format {
    case .safetensors: try Safetensors(path: path)
    case .pyTorch: try PyTorchCheckpoint(path: path)
    case .hdf5: try HDF5Checkpoint(path: path)
    case .gguf: try GGUF(path: path)
    }
  }

  /// The input as an index of shards, and as a configuration.
  private func readText() {
    _ = attempt { () throws(InputError) in try ShardedCheckpoint(path: indexPath) }
    _ = attempt { () throws(InputError) in
      let value = try JSON.read(path, valueLimit: JSON.maximumUntrustedValueCount)
      _ = try ModelLoader.load(
        Checkpoint(configurationPath: path, configuration: value, source: weights))
    }
  }

  /// The result of `body`, or nil where it throws an error, which must be one that can be shown.
  private func attempt<Result>(_ body: () throws(InputError) -> Result) -> Result? {
    do throws(InputError) { return try body() } catch {
      if error.description.isEmpty { trap() }
      return nil
    }
  }
}

/// A zip archive of a pickle and a storage of six floats, as PyTorch writes it.
private enum Archive {
  static func bytes(around pickle: [UInt8]) -> [UInt8] {
    var (content, directory): ([UInt8], [UInt8]) = ([], [])
    let storage = [UInt8](repeating: 0, count: 24)
    for (name, entry) in [("m/data.pkl", pickle), ("m/data/0", storage)] {
      let crc = unsafe entry.withUnsafeBytes { buffer in
        unsafe crc32_z(
          0, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), buffer.count)
      }
      let common =
        little([20, 0, 0, 0, 0], 2) + little([Int(crc), entry.count, entry.count], 4)
        + little([name.utf8.count, 0], 2)
      directory +=
        little([0x0201_4b50], 4) + little([20], 2) + common + little([0, 0, 0], 2)
        + little([0, content.count], 4) + Array(name.utf8)
      content += little([0x0403_4b50], 4) + common + Array(name.utf8) + entry
    }
    return content + directory + little([0x0605_4b50], 4) + little([0, 0, 2, 2], 2)
      + little([directory.count, content.count], 4) + little([0], 2)
  }

  private static func little(_ values: [Int], _ byteCount: Int) -> [UInt8] {
    values.flatMap { value in
      (0..<byteCount).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
  }
}

private func trap() -> Never { abort() }

@_cdecl("LLVMFuzzerTestOneInput")
public func readOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let target = unsafe Target.shared else { trap() }
  unsafe target.read(UnsafeBufferPointer(start: data, count: count))
  return 0
}
