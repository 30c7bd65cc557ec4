// Mutations of valid files of every format: an error or tensors, never a crash, hang or big claim.

import Bytes
import Checkpoints
import Foundation
import Glibc
import TestSupport
import Testing

@Suite struct FuzzTests {
  private static let vectors = Repository.root.appending(path: "Tests/Vectors/checkpoints").path

  /// A sequence of random numbers that a seed repeats.
  struct Mutator {
    var state: UInt64

    mutating func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % max(limit, 1)
    }

    /// One to four changes: bytes, words of telling values, cuts, and copies of parts.
    mutating func mutated(_ original: [UInt8]) -> [UInt8] {
      var bytes = original
      for _ in 0...next(4) where !bytes.isEmpty {
        let place = next(bytes.count)
        switch next(8) {
        case 0: bytes[place] = UInt8(next(256))
        case 1: bytes[place] ^= 1 << UInt8(next(8))
        case 2:
          let words: [UInt64] = [0, 1, .max, .max >> 1, 1 << 32, 1 << 31, 1 << 40, 0xffff]
          let word = ByteWriter.bytes(words[next(words.count)]).prefix(1 << next(4))
          for (index, byte) in word.enumerated() where place + index < bytes.count {
            bytes[place + index] = byte
          }
        case 3: if next(4) == 0 { bytes.removeLast(min(bytes.count, next(64))) }
        case 4:
          let from = next(bytes.count)
          let count = min(1 + next(16), bytes.count - max(place, from))
          for index in 0..<count { bytes[place + index] = bytes[from + index] }
        default:
          // Headers are where the rules are.
          bytes[next(min(bytes.count, 600))] = UInt8(next(256))
        }
      }
      return bytes
    }
  }

  /// Opens and reads what it can of one mutant.
  private static func exercise(_ bytes: [UInt8], file: String, scratch: ScratchFolder) throws {
    let path = try scratch.write(bytes, to: file)
    do {
      guard let format = try CheckpointFormat(contentOf: path) else { return }
      let source: any TensorSource =
        switch format {
        case .safetensors: try Safetensors(path: path)
        case .pyTorch: try PyTorchCheckpoint(path: path)
        case .gguf: try GGUF(path: path)
        case .hdf5: try HDF5Checkpoint(path: path)
        }
      for tensor in source.tensors {
        do {
          let values = try source.floats(tensor.name)
          guard values.count == tensor.elementCount else { throw Mismatch() }
        } catch let error as InputError { _ = error.description }
      }
      _ = try? Checkpoint(path: path)
    } catch let error as InputError { _ = error.description }
  }

  private struct Mismatch: Error {}

  /// Runs mutants of one vector for `seconds`, with at most 64 MB more memory than at the start.
  ///
  /// `LODGE_FUZZ_SECONDS` and `LODGE_FUZZ_SEED` in the environment replace both.
  static func run(_ name: String, seed: UInt64, seconds: Double) throws {
    let environment = ProcessInfo.processInfo.environment
    let seconds = environment["LODGE_FUZZ_SECONDS"].flatMap(Double.init) ?? seconds
    let seed = environment["LODGE_FUZZ_SEED"].flatMap(UInt64.init) ?? seed
    let original = try [UInt8](Data(contentsOf: URL(filePath: "\(vectors)/\(name)")))
    let scratch = try ScratchFolder()
    // Everything that is made once exists before memory is bounded.
    try exercise(original, file: name, scratch: scratch)
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmData:") } ?? ""
    let used = UInt(line.split(whereSeparator: { !$0.isNumber }).first ?? "") ?? 0
    var limit = rlimit(
      rlim_cur: rlim_t(used << 10) + (64 << 20) + rlim_t(original.count), rlim_max: .max)
    guard unsafe setrlimit(__rlimit_resource_t(2), &limit) == 0 else { throw Mismatch() }
    var mutator = Mutator(state: seed)
    print("\(name): mutants from seed \(seed)")
    // A crash must not take the seed with it.
    fflush(nil)
    let end = Date(timeIntervalSinceNow: seconds)
    var rounds = 0
    while Date() < end {
      let state = mutator.state
      let bytes = mutator.mutated(original)
      // A mutant that takes a second is a hang in the making.
      let started = Date()
      try exercise(bytes, file: name, scratch: scratch)
      guard Date().timeIntervalSince(started) < 2 else {
        print("seed \(state) takes \(Date().timeIntervalSince(started)) s")
        throw Mismatch()
      }
      rounds += 1
    }
    print("\(name): \(rounds) mutants")
  }

  /// Prints what the process of an exit test wrote: the seed and the number of mutants.
  private func report(_ result: ExitTest.Result?) {
    print(String(decoding: result?.standardOutputContent ?? [], as: UTF8.self))
    print(String(decoding: result?.standardErrorContent.suffix(2000) ?? [], as: UTF8.self))
  }

  @Test func safetensors() async {
    await report(
      #expect(
        processExitsWith: .success,
        observing: [\.standardOutputContent, \.standardErrorContent]
      ) { try FuzzTests.run("plain.safetensors", seed: 1, seconds: 1) })
  }

  @Test func pyTorch() async {
    await report(
      #expect(
        processExitsWith: .success,
        observing: [\.standardOutputContent, \.standardErrorContent]
      ) { try FuzzTests.run("plain.bin", seed: 2, seconds: 1.5) })
  }

  @Test func gguf() async {
    await report(
      #expect(
        processExitsWith: .success,
        observing: [\.standardOutputContent, \.standardErrorContent]
      ) { try FuzzTests.run("quantised.gguf", seed: 3, seconds: 1) })
  }

  @Test func hdf5() async {
    await report(
      #expect(
        processExitsWith: .success,
        observing: [\.standardOutputContent, \.standardErrorContent]
      ) { try FuzzTests.run("plain.h5", seed: 4, seconds: 1.5) })
  }

  @Test func chunkedHDF5() async {
    await report(
      #expect(
        processExitsWith: .success,
        observing: [\.standardOutputContent, \.standardErrorContent]
      ) { try FuzzTests.run("chunked.h5", seed: 5, seconds: 1.5) })
  }
}
