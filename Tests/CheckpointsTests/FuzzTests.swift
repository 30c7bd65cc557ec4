// Mutations of valid files of every format: an error or tensors, never a crash, hang or big claim.

import Bytes
import Checkpoints
import Foundation
import Glibc
import Models
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

  /// What is mutated: files of one format, pickles inside of a sound archive, or JSON.
  enum Subject: String, CaseIterable, Codable, Sendable {
    case safetensors
    case pyTorch
    case pickle
    case gguf
    case hdf5
    case json

    private var extensions: [String] {
      switch self {
      case .safetensors: [".safetensors"]
      case .pyTorch, .pickle: [".bin", ".pt"]
      case .gguf: [".gguf"]
      case .hdf5: [".h5"]
      case .json: [".json"]
      }
    }

    /// The vectors of the format, sound and broken ones.
    func originals() throws -> [[UInt8]] {
      let paths = ["", "/hostile"].flatMap { folder in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: vectors + folder)) ?? []
        return names.sorted().filter { name in
          name != HostileVector.expectationsFile && extensions.contains(where: name.hasSuffix)
        }.map { "\(vectors)\(folder)/\($0)" }
      }
      let files = try paths.map { try [UInt8](Data(contentsOf: URL(filePath: $0))) }
      guard self == .pickle else { return files }
      return files.compactMap(Subject.pickle)
    }

    /// The first entry of an archive that ends with STOP, found by its local header.
    private static func pickle(in archive: [UInt8]) -> [UInt8]? {
      guard archive.count > 30 else { return nil }
      let length = (0..<4).reduce(0) { $0 | Int(archive[22 + $1]) << (8 * $1) }
      let start = 30 + Int(archive[26]) + Int(archive[28])
      guard length > 2, start + length <= archive.count, archive[start] == 0x80 else { return nil }
      return Array(archive[start..<start + length])
    }
  }

  /// Opens and reads what it can of one mutant.
  private static func exercise(_ bytes: [UInt8], of subject: Subject, in scratch: ScratchFolder)
    throws
  {
    guard subject != .json else { return try exercise(text: bytes, in: scratch) }
    let whole = subject == .pickle ? PickleBuilder.archive(bytes).bytes : bytes
    let path = try scratch.write(whole, to: "mutant")
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
          // A part must be what it is in the whole.
          let part = values.count / 3..<values.count - values.count / 4
          guard
            try source.floats(tensor.name, in: part).map(\.bitPattern)
              == values[part].map(\.bitPattern)
          else { throw Mismatch() }
        } catch let error as InputError { _ = error.description }
      }
      _ = try ModelLoader.load(path: path)
    } catch let error as InputError { _ = error.description }
  }

  /// A mutant as the index of shards and as config.json of a tiny model.
  private static func exercise(text: [UInt8], in scratch: ScratchFolder) throws {
    let index = try scratch.write(text, to: "mutant.index.json")
    for read in [
      { _ = try ShardedCheckpoint(path: index) },
      {
        let configuration = try JSON.read(
          index, valueLimit: JSON.maximumUntrustedValueCount)
        _ = try ModelLoader.load(
          Checkpoint(
            configurationPath: index, configuration: configuration,
            source: Safetensors(path: scratch.file("model.safetensors"))))
      },
    ] as [() throws -> Void] {
      do { try read() } catch let error as InputError { _ = error.description }
    }
  }

  private struct Mismatch: Error {}

  /// Bounds the memory of this process to what it uses now, 64 MB, and the size of a file.
  ///
  /// Swift's handler of crashes would want more: without it a crash ends the process at once.
  private static func boundMemory(fileByteCount: Int) throws {
    for crash in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
      _ = signal(crash, SIG_DFL)
    }
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmData:") } ?? ""
    let used = UInt(line.split(whereSeparator: { !$0.isNumber }).first ?? "") ?? 0
    var limit = rlimit(
      rlim_cur: rlim_t(used << 10) + (64 << 20) + rlim_t(fileByteCount), rlim_max: .max)
    guard used > 0, unsafe setrlimit(__rlimit_resource_t(2), &limit) == 0 else { throw Mismatch() }
  }

  /// Runs mutants of one format for `seconds`.
  ///
  /// `LODGE_FUZZ_SECONDS` and `LODGE_FUZZ_SEED` in the environment replace both.
  static func run(_ subject: Subject, seed: UInt64, seconds: Double) throws {
    let environment = ProcessInfo.processInfo.environment
    let seconds = environment["LODGE_FUZZ_SECONDS"].flatMap(Double.init) ?? seconds
    let seed = environment["LODGE_FUZZ_SEED"].flatMap(UInt64.init) ?? seed
    let originals = try subject.originals()
    let scratch = try ScratchFolder(isInMemory: true)
    _ = try TinyCheckpoint.opt(layerCount: 1, width: 2, innerWidth: 2).write(to: scratch)
    // Everything that is made once exists before memory is bounded.
    for original in originals { try exercise(original, of: subject, in: scratch) }
    try boundMemory(fileByteCount: originals.map(\.count).max() ?? 0)
    var mutator = Mutator(state: seed)
    print("\(subject): mutants of \(originals.count) files from seed \(seed)")
    // A crash must not take the seed with it.
    fflush(nil)
    let end = Date(timeIntervalSinceNow: seconds)
    var rounds = 0
    while Date() < end {
      let state = mutator.state
      let bytes = mutator.mutated(originals[mutator.next(originals.count)])
      // A mutant that takes a second is a hang in the making.
      let started = Date()
      try exercise(bytes, of: subject, in: scratch)
      guard Date().timeIntervalSince(started) < 2 else {
        print("seed \(state) takes \(Date().timeIntervalSince(started)) s")
        throw Mismatch()
      }
      rounds += 1
    }
    print("\(subject): \(rounds) mutants")
  }

  /// In a process of its own, whose output tells the seed and the number of mutants.
  @Test(arguments: Subject.allCases)
  func mutants(subject: Subject) async throws {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
    ) { [subject] in try FuzzTests.run(subject, seed: 1, seconds: 1.2) }
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    print(output)
    print(String(decoding: result?.standardErrorContent.suffix(2000) ?? [], as: UTF8.self))
    #expect(output.contains(" from seed "))
  }

  /// The bound on memory is one: an array of 70 MB ends the process, one of 20 MB does not (the
  /// stacks of threads that begin meanwhile count as well).
  @Test func tooMuchMemoryIsNoticed() async {
    await #expect(processExitsWith: .failure) {
      try FuzzTests.boundMemory(fileByteCount: 0)
      print([UInt8](repeating: 1, count: 70 << 20).count)
    }
    await #expect(processExitsWith: .success) {
      try FuzzTests.boundMemory(fileByteCount: 0)
      print([UInt8](repeating: 1, count: 20 << 20).count)
    }
  }
}
