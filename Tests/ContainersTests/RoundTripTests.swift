// What is written is read back, for every element type and storage, and files are deterministic.

import Bytes
import Containers
import Dispatch
import Foundation
import Synchronization
import Testing

@Suite struct RoundTripTests {
  let folder = try! ScratchFolder()

  @Test func sampleIsReadBack() throws {
    let path = folder.path("sample.lodge")
    let digest = try Sample.write(to: path)
    let reader = try ContainerReader(path: path, kind: "model", verifying: true)
    #expect(try Sample.isIntact(reader))
    #expect(reader.digest == digest)
    #expect(reader.datasets.map(\.name) == ["nothing", "public/empty", "public/table", "shares"])
    #expect(Set(reader.datasets.map(\.name)) == Set(Sample.datasets.map(\.name)))
    for dataset in Sample.datasets {
      #expect(try reader.description(of: dataset.name) == dataset)
    }
    #expect(folder.contents == ["sample.lodge"])
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
    #expect(mode as? Int == 0o600)
  }

  /// Values at the limits of `type`, in one dataset of each storage and of two lengths.
  private func check<T: ContainerElement & Equatable>(_ values: [T]) throws {
    let name = T.elementType.rawValue
    let path = folder.path(name)
    // 300,000 elements are one to three chunks, the last of them not full.
    let long = (0..<300_000).map { values[($0 / 3) % values.count] }
    let storages: [DatasetStorage] = [.raw, .zstd]
    let datasets = storages.flatMap { storage in
      [
        DatasetDescription(
          name: "\(storage)/short", elementType: T.elementType, shape: [values.count],
          storage: storage),
        DatasetDescription(
          name: "\(storage)/long", elementType: T.elementType, shape: [3000, 4, 25],
          storage: storage),
        DatasetDescription(
          name: "\(storage)/none", elementType: T.elementType, shape: [0], storage: storage),
      ]
    }
    let writer = try ContainerWriter(path: path, kind: "model", header: [:], datasets: datasets)
    for storage in storages {
      try writer.write("\(storage)/short", values: values)
      try writer.write("\(storage)/long", values: long.span)
      try writer.write("\(storage)/none", values: [T]())
    }
    _ = try writer.finish()
    let reader = try ContainerReader(path: path, kind: "model", verifying: true)
    for storage in storages {
      #expect(try reader.read("\(storage)/short", as: T.self) == values)
      #expect(try reader.read("\(storage)/long", as: T.self, shape: [3000, 4, 25]) == long)
      #expect(try reader.read("\(storage)/none", as: T.self, shape: [0]) == [])
      for range in [0..<0, 0..<1, 131_070..<131_075, 262_143..<300_000, 300_000..<300_000] {
        #expect(
          try reader.elements(of: "\(storage)/long", in: range, as: T.self) == Array(long[range]))
      }
    }
    let region = try reader.region(of: "raw/long")
    #expect(region.description.shape == [3000, 4, 25])
    #expect(throws: InputError.self) { try region.words(at: [0..<1]) }
    #expect(throws: InputError.self) { try region.withBytes(of: 299_999..<300_001) { _ in } }
    try reader.withBytes(of: "raw/long", range: 1..<5) { bytes in
      #expect(bytes.byteCount == 4 * T.elementType.byteCount)
      let stored = (0..<4).map {
        unsafe bytes.unsafeLoadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self)
      }
      #expect(stored == Array(long[1..<5]))
    }
  }

  @Test func everyElementTypeIsReadBack() throws {
    try check([UInt8.min, 1, .max])
    try check([UInt16.min, 1, .max])
    try check([UInt32.min, 1, .max])
    try check([UInt64.min, 1, .max])
    try check([Int8.min, -1, 0, .max])
    try check([Int16.min, -1, 0, .max])
    try check([Int32.min, -1, 0, .max])
    try check([Int64.min, -1, 0, .max])
    try check([-Float.infinity, -.leastNonzeroMagnitude, -0.0, .pi, .greatestFiniteMagnitude])
    try check([-Double.infinity, -.leastNonzeroMagnitude, -0.0, .pi, .greatestFiniteMagnitude])
  }

  @Test func sameContentGivesSameBytes() throws {
    let datasets = [
      DatasetDescription(name: "a", elementType: .u64, shape: [700_001]),
      DatasetDescription(name: "b/c", elementType: .i16, shape: [5_000_000], storage: .zstd),
    ]
    let words = Sequence64.words(700_001, seed: 2)
    let samples = (0..<5_000_000).map { Int16(truncatingIfNeeded: $0 / 300) }
    var files: [Data] = []
    for name in ["first", "second"] {
      // HDF5 would keep times in whole seconds.
      if name == "second" { Thread.sleep(forTimeInterval: 1.1) }
      let writer = try ContainerWriter(
        path: folder.path(name), kind: "model", header: Sample.header, datasets: datasets)
      if name == "first" {
        try writer.write("a", values: words)
        try writer.write("b/c", values: samples)
      } else {
        // Another order, other pieces, from the other end.
        try writer.write("b/c", values: samples)
        let region = writer.region(of: "a")
        try region.write(Array(words[350_000...]), atElement: 350_000)
        try region.write(Array(words[..<350_000]), atElement: 0)
      }
      _ = try writer.finish()
      files.append(try Data(contentsOf: folder.url.appending(path: name)))
    }
    #expect(files[0] == files[1])
  }

  @Test func threadsFillOneRegion() throws {
    let rowCount = 257
    let width = 4099
    let path = folder.path("parallel")
    let words = Sequence64.words(rowCount * width, seed: 3)
    let writer = try ContainerWriter(
      path: path, kind: "correlations", header: [:],
      datasets: ["written", "mapped"].map {
        DatasetDescription(name: $0, elementType: .u64, shape: [rowCount, width])
      })
    let (written, mapped) = (writer.region(of: "written"), writer.region(of: "mapped"))
    let failures = Mutex<[InputError]>([])
    DispatchQueue.concurrentPerform(iterations: rowCount) { row in
      let values = Array(words[row * width..<(row + 1) * width])
      do throws(InputError) {
        try written.write(values, atElement: row * width)
        try mapped.withMutableBytes(of: row * width..<(row + 1) * width) { bytes in
          for (column, value) in values.enumerated() {
            bytes.storeBytes(of: value, toByteOffset: 8 * column, as: UInt64.self)
          }
        }
      } catch {
        failures.withLock { $0.append(error) }
      }
    }
    _ = try writer.finish()
    #expect(failures.withLock { $0.isEmpty })
    let reader = try ContainerReader(path: path, kind: "correlations", verifying: true)
    #expect(try reader.words(of: "written", range: 0..<words.count) == words)
    #expect(try reader.read("mapped", as: UInt64.self, shape: [rowCount, width]) == words)
  }

  @Test func threadsReadOneContainer() throws {
    let path = folder.path("sample.lodge")
    try Sample.write(to: path)
    let reader = try ContainerReader(path: path, kind: "model", verifying: false)
    let intactCount = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 64) { index in
      // Every other one opens the file itself, so that libhdf5 is entered from all threads.
      let mine =
        index % 2 == 0 ? reader : try? ContainerReader(path: path, kind: nil, verifying: true)
      if let mine, (try? Sample.isIntact(mine)) == true {
        intactCount.add(1, ordering: .relaxed)
      }
    }
    #expect(intactCount.load(ordering: .relaxed) == 64)
  }

  @Test(arguments: [1, 8, 9, 400]) func manyDatasetsAreFound(count: Int) throws {
    let path = folder.path("many")
    let datasets = (0..<count).map {
      DatasetDescription(name: "layer\($0 % 20)/t\($0)", elementType: .u32, shape: [$0])
    }
    let writer = try ContainerWriter(path: path, kind: "bundle", header: [:], datasets: datasets)
    for (index, dataset) in datasets.enumerated() {
      try writer.write(dataset.name, values: [UInt32](repeating: UInt32(index), count: index))
    }
    _ = try writer.finish()
    let reader = try ContainerReader(path: path, kind: "bundle", verifying: true)
    #expect(Set(reader.datasets.map(\.name)) == Set(datasets.map(\.name)))
    for index in 0..<count {
      let values = try reader.read("layer\(index % 20)/t\(index)", as: UInt32.self)
      #expect(values == [UInt32](repeating: UInt32(index), count: index))
    }
  }

  @Test(arguments: [2, 60_000, 70_000, 3_000_000]) func longHeadersAreKept(count: Int) throws {
    let header: JSON = ["text": .string(String(repeating: "é", count: count / 2))]
    var files: [Data] = []
    for name in ["a", "b"] {
      let writer = try ContainerWriter(
        path: folder.path(name), kind: "bundle", header: header, datasets: [])
      _ = try writer.finish()
      let reader = try ContainerReader(path: folder.path(name), kind: "bundle", verifying: true)
      #expect(reader.header == header)
      files.append(try Data(contentsOf: folder.url.appending(path: name)))
    }
    #expect(files[0] == files[1])
  }
}
