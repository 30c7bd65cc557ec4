// Throughput of writing and verifying; slow, so only where LODGE_MEASURE is set.

import Bytes
import Containers
import Dispatch
import Foundation
import Testing

@Suite struct SpeedTests {
  @Test(.enabled(if: ProcessInfo.processInfo.environment["LODGE_MEASURE"] != nil))
  func rawAndZstdThroughput() throws {
    let folder = try ScratchFolder()
    let clock = ContinuousClock()
    func report(_ what: String, megabytes: Int, _ time: Duration) {
      print("\(what): \(megabytes) MB in \(time), \(Double(megabytes) / (time / .seconds(1))) MB/s")
    }
    let block = Sequence64.words(1 << 17, seed: 6)  // 1 MiB
    for count in [1, 2] {
      let path = folder.path("raw\(count)")
      var writer: ContainerWriter?
      let names = (0..<count).map { "part\($0)" }
      let writing = try clock.measure {
        let new = try ContainerWriter(
          path: path, kind: "correlations", header: [:],
          datasets: names.map {
            .init(name: $0, elementType: .u64, shape: [512 / count, 1 << 17])
          })
        let regions = names.map { new.region(of: $0) }
        DispatchQueue.concurrentPerform(iterations: 512) { index in
          try? regions[index % count].write(block, atElement: (index / count) << 17)
        }
        writer = consume new
      }
      report("\(count) raw datasets, write", megabytes: 512, writing)
      let finishing = try clock.measure {
        guard let writer = writer.take() else { return }
        _ = try writer.finish()
      }
      report("\(count) raw datasets, digest and fsync", megabytes: 512, finishing)
      let reader = try ContainerReader(path: path, kind: "correlations", verifying: false)
      report(
        "\(count) raw datasets, verify", megabytes: 512, try clock.measure { try reader.verify() })
      var words: [[UInt64]] = []
      report(
        "\(count) raw datasets, read", megabytes: 512,
        try clock.measure {
          for name in names { words.append(try reader.read(name, as: UInt64.self)) }
        })
      for part in words {
        #expect(
          stride(from: 0, to: part.count, by: block.count).allSatisfy {
            part[$0..<$0 + block.count].elementsEqual(block)
          })
      }
    }
    let table = (0..<64 << 20).map { Float($0 / 1000 % 1000) }
    let path = folder.path("zstd")
    report(
      "zstd, write all", megabytes: 256,
      try clock.measure {
        let writer = try ContainerWriter(
          path: path, kind: "model", header: [:],
          datasets: [
            .init(name: "a", elementType: .f32, shape: [64 << 10, 1 << 10], storage: .zstd)
          ])
        try writer.write("a", values: table)
        _ = try writer.finish()
      })
    let reader = try ContainerReader(path: path, kind: "model", verifying: false)
    report("zstd, verify", megabytes: 256, try clock.measure { try reader.verify() })
    report(
      "zstd, read", megabytes: 256, try clock.measure { _ = try reader.read("a", as: Float.self) })
  }
}
