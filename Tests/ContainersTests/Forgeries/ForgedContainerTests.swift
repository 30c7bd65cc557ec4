// Forged containers are refused, or hold what the original holds; none takes much memory or time.

import Bytes
import Containers
import Foundation
import TestSupport
import Testing

/// `LODGE_FORGERIES` says how many are made (tools/development/forge-containers), `LODGE_SEED` from which seed.
@Suite(.serialized) struct ForgedContainerTests {
  private static func number(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
  }

  private static let count = number("LODGE_FORGERIES") ?? 3000
  private static let seed = UInt64(number("LODGE_SEED") ?? 11)
  private static let overheadByteCount = 64 << 20

  /// Files with everything that our writer makes: attributes and links in messages and in heaps,
  /// one chunk and several.
  private static func bases() throws -> [ContainerAnatomy] {
    let folder = try ScratchFolder()
    var result: [[UInt8]] = []
    func add(_ header: JSON, _ datasets: [DatasetDescription]) throws {
      let path = folder.path("base\(result.count)")
      let writer = try ContainerWriter(
        path: path, kind: "model", header: header, datasets: datasets)
      for dataset in datasets where dataset.elementCount > 0 {
        let values = (0..<dataset.elementCount).map { UInt8(truncatingIfNeeded: $0 / 50) }
        try writer.write(dataset.name, values: values)
      }
      _ = try writer.finish()
      result.append(try Array(Data(contentsOf: URL(filePath: path))))
    }
    try Sample.write(to: folder.path("sample"))
    result.append(try Array(Data(contentsOf: folder.url.appending(path: "sample"))))
    try add(
      ["long": .string(String(repeating: "x", count: 70_000))],
      [DatasetDescription(name: "a", elementType: .u8, shape: [7])])
    try add(
      ["seed": "00"],
      (0..<60).map {
        DatasetDescription(name: "group/some-dataset-\($0)", elementType: .u8, shape: [3])
      })
    try add(
      ["seed": "00"],
      [
        DatasetDescription(name: "chunks", elementType: .u8, shape: [5, 700_000], storage: .zstd),
        DatasetDescription(name: "chunk", elementType: .u8, shape: [500], storage: .zstd),
      ])
    return result.map(ContainerAnatomy.init)
  }

  /// Opens and verifies `bytes` in memory.
  private static func outcome(_ bytes: [UInt8]) throws -> (error: InputError?, digest: [UInt8]?) {
    let file = try AnonymousFile(.memory, name: "forgery")
    // FileHandle keeps memory of what it has written.
    #expect(unsafe write(file.descriptor, bytes, bytes.count) == bytes.count)
    do throws(InputError) {
      let reader = try ContainerReader(file, kind: "model", expecting: nil, verifying: true)
      return (nil, reader.digest)
    } catch {
      return (error, nil)
    }
  }

  @Test func forgeriesNeitherCrashNorLie() throws {
    let bases = try ForgedContainerTests.bases()
    let digests = try bases.map { try #require(try ForgedContainerTests.outcome($0.bytes).digest) }
    // Every structure is known: forgeries reach them all.
    let signatures = Set(bases.flatMap { $0.structures.map(\.signature) })
    #expect(
      signatures == [
        "superblock", "OHDR", "OCHK", "BTHD", "BTIN", "BTLF", "FRHP", "FHDB", "FHIB", "FAHD",
        "FADB",
      ])
    var acceptedCount = 0
    var errors: Set<String> = []
    var (largest, longest) = (0, Duration.zero)
    let clock = ContinuousClock()
    for number in 0..<ForgedContainerTests.count {
      let forgery = ContainerForgery(bases, seed: ForgedContainerTests.seed, number: number)
      let before = try MemoryPeak()
      let start = clock.now
      let (error, digest) = try ForgedContainerTests.outcome(forgery.bytes)
      longest = max(longest, clock.now - start)
      var growth = try before.growth() - forgery.bytes.count
      // Other tests take memory, too: what is this forgery's is taken again every time.
      for _ in 0..<50 where growth > ForgedContainerTests.overheadByteCount {
        let before = try MemoryPeak()
        _ = try ForgedContainerTests.outcome(forgery.bytes)
        growth = min(growth, try before.growth() - forgery.bytes.count)
      }
      largest = max(largest, growth)
      let name = "forgery \(number) of seed \(ForgedContainerTests.seed), \(forgery.description)"
      if growth > ForgedContainerTests.overheadByteCount {
        Issue.record("\(name): takes \(growth) bytes more than it has")
      }
      if let error { errors.insert(error.description) }
      if let error, error.description.contains("\n") || !error.description.contains("forgery") {
        Issue.record("\(name): \(error)")
      }
      if let digest {
        acceptedCount += 1
        if !digests.contains(digest) { Issue.record("\(name): accepted as another file") }
      }
      if (number + 1) % 10_000 == 0 { print("\(number + 1) forgeries") }
    }
    print(
      """
      forged containers: seed \(ForgedContainerTests.seed), tried \(ForgedContainerTests.count), \
      refused \(ForgedContainerTests.count - acceptedCount), accepted with the same content \
      \(acceptedCount), most memory beyond the file \(largest) bytes, longest \(longest)
      """)
    #expect(longest < .seconds(10))
    try expectEveryRefusal(in: errors)
  }

  /// Whatever the reader refuses is refused in some forgery, or in a file of the vectors.
  private func expectEveryRefusal(in errors: Set<String>) throws {
    var errors = errors
    let checkpoints = "Tests/Vectors/checkpoints/hostile/expected.json"
    let expected = try JSON.parse(
      String(contentsOf: Repository.root.appending(path: checkpoints), encoding: .utf8),
      source: checkpoints)
    guard case .object(let members) = expected else { return }
    for case .string(let error) in members.values { errors.insert(error) }
    let vectors = Repository.root.appending(path: "formats/vectors/container").path
    for name in try FileManager.default.contentsOfDirectory(atPath: vectors) {
      let path = "\(vectors)/\(name)"
      let error = failure { () throws(InputError) in
        _ = try ContainerReader(path: path, kind: nil, verifying: true)
      }
      if let error { errors.insert(error.description) }
    }
    var messages: [RefusalMessage] = []
    for folder in ["Sources/HDF5Reading", "Sources/Containers/Format"] {
      let path = Repository.root.appending(path: folder).path
      for name in try FileManager.default.contentsOfDirectory(atPath: path)
      where name.hasPrefix("HDF5") && folder.hasSuffix("Reading")
        || name.hasPrefix("ContainerStructure") || name.hasPrefix("ContainerContent")
      {
        messages += try RefusalMessage.all(in: "\(folder)/\(name)")
      }
    }
    #expect(messages.count > 60)
    let elsewhere = [
      // HostileFileTests.foreignFilesAreRefused, overlappingStructuresAreRefused,
      // WriterFailureTests.whatReadersRefuseIsNotWritten
      "the file is empty", "truncated: the file has only ... bytes",
      "structures with checksums overlap each other",
      "its zstd datasets hold ... bytes, at most ... are allowed",
    ]
    for message in messages
    where !elsewhere.contains(message.text) && !errors.contains(where: message.matches) {
      Issue.record("nothing is refused as \(message)")
    }
  }
}

/// The most memory that this process has had since it was made.
private struct MemoryPeak {
  private let residentByteCount: Int

  init() throws {
    // Makes the peak what is resident now.
    try "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
    residentByteCount = try MemoryPeak.byteCount("VmRSS")
  }

  func growth() throws -> Int { try MemoryPeak.byteCount("VmHWM") - residentByteCount }

  private static func byteCount(_ name: String) throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("\(name):") })
    return try #require(
      line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }) * 1024
  }
}
