// A writer that cannot finish says why and leaves nothing behind.

import Bytes
import Containers
import Foundation
import Glibc
import Testing

@Suite struct WriterFailureTests {
  let folder = try! ScratchFolder()

  @Test func unfinishedWritersLeaveNothing() throws {
    let path = folder.path("model")
    try Data("old".utf8).write(to: URL(filePath: path))
    do {
      let writer = try ContainerWriter(
        path: path, kind: "model", header: [:], datasets: Sample.datasets)
      try writer.write("shares", values: Sample.shares)
      #expect(folder.contents.count == 2)
    }
    #expect(folder.contents == ["model"])
    // Elements that are missing at the start, in the middle, at the end; written twice elsewhere.
    for (starts, byteCount) in [
      ([12], 24), ([0, 3, 9, 12], 96), ([0, 3, 6, 9, 9, 6, 3], 96), ([0, 1, 2, 7, 10], 88),
    ] as [([Int], Int)] {
      let writer = try ContainerWriter(
        path: path, kind: "model", header: [:], datasets: Sample.datasets)
      try writer.write("public/table", values: Sample.table)
      let region = writer.region(of: "shares")
      for start in starts { try region.write([1, 2, 3] as [UInt64], atElement: start) }
      do throws(InputError) {
        _ = try writer.finish()
        Issue.record("finished without all data")
      } catch {
        #expect(
          error == InputError(path, place: "shares", "only \(byteCount) of 120 bytes were written"))
      }
    }
    #expect(folder.contents == ["model"])
    #expect(try Data(contentsOf: URL(filePath: path)) == Data("old".utf8))
  }

  @Test func impossiblePathsAreErrors() throws {
    for (path, cause) in [
      (folder.path("no/such/folder"), "cannot be created: no such file or directory"),
      (folder.url.path + "/", "is not the name of a file"), ("", "is not the name of a file"),
      ("/proc/nothing", "cannot be created: no such file or directory"),
    ] {
      let error = failure { () throws(InputError) in try Sample.write(to: path) }
      #expect(error?.source == path)
      #expect(error?.cause == cause)
    }
    let occupied = folder.url.appending(path: "folder")
    try FileManager.default.createDirectory(at: occupied, withIntermediateDirectories: false)
    let error = failure { () throws(InputError) in try Sample.write(to: occupied.path) }
    #expect(error?.cause == "cannot be put in place: is a directory")
    #expect(folder.contents == ["folder"])
  }

  @Test func impossibleDatasetsAreErrors() throws {
    let cases: [([DatasetDescription], String)] =
      [
        "", "/a", "a/", "a//b", "a/../b", ".", "a b", "a\n", "é",
        String(repeating: "a", count: 513),
        "1/2/3/4/5/6/7/8/9",
      ].map {
        (
          [DatasetDescription(name: $0, elementType: .u8, shape: [1])],
          "dataset name is not allowed"
        )
      } + [
        ([.init(name: "a", elementType: .u8, shape: [])], "rank 0 is outside 1...3"),
        ([.init(name: "a", elementType: .u8, shape: [1, 1, 1, 1])], "rank 4 is outside 1...3"),
        (
          [.init(name: "a", elementType: .u8, shape: [-1])],
          "shape [-1] is negative or beyond 2^50 bytes"
        ),
        (
          [.init(name: "a", elementType: .u64, shape: [1 << 40, 1 << 40])],
          "shape [1099511627776, 1099511627776] is negative or beyond 2^50 bytes"
        ),
        (
          [.init(name: "a", elementType: .u64, shape: [2, 1 << 26], storage: .zstd)],
          "chunks of 536870912 bytes are beyond 2^22"
        ),
        (
          [
            .init(name: "a", elementType: .u8, shape: [1]),
            .init(name: "a", elementType: .u8, shape: [1]),
          ], "two datasets have this name"
        ),
        (
          [
            .init(name: "a/b/c", elementType: .u8, shape: [1]),
            .init(name: "a/b", elementType: .u8, shape: [1]),
          ], "is a dataset and also a group"
        ),
      ]
    for (datasets, cause) in cases {
      let error = failure { () throws(InputError) in
        _ = try ContainerWriter(
          path: folder.path("model"), kind: "model", header: [:], datasets: datasets)
      }
      #expect(error?.cause == cause)
      #expect(error?.description.contains("\n") == false)
    }
    #expect(folder.contents.isEmpty)
  }

  /// A tmpfs of 8 MiB, unmounted when `body` is done.
  private func onSmallDisk(_ body: (ScratchFolder) throws -> Void) throws {
    let disk = try ScratchFolder()
    guard geteuid() == 0, unsafe mount("tmpfs", disk.url.path, "tmpfs", 0, "size=8m") == 0 else {
      print("Skipping the test of a full disk: a tmpfs can only be mounted by root.")
      return
    }
    defer { unsafe umount2(disk.url.path, Int32(MNT_DETACH)) }
    try body(disk)
    #expect(disk.contents.filter { $0.hasSuffix(".partial") } == [])
  }

  /// A small file that would take much memory to read never gets its name.
  @Test func whatReadersRefuseIsNotWritten() throws {
    let path = folder.path("large")
    let zeros = failure { () throws(InputError) in
      let writer = try ContainerWriter(
        path: path, kind: "model", header: [:],
        datasets: [.init(name: "a", elementType: .u64, shape: [8 << 20], storage: .zstd)])
      try writer.write("a", values: [UInt64](repeating: 0, count: 8 << 20))
      _ = try writer.finish()
    }
    #expect(zeros?.cause.hasPrefix("its zstd datasets hold 67108864 bytes, at most 503") == true)
    let objects = failure { () throws(InputError) in
      let writer = try ContainerWriter(
        path: path, kind: "model", header: .array(Array(repeating: ["": 0], count: 1 << 18)),
        datasets: [])
      _ = try writer.finish()
    }
    #expect(objects?.cause.hasPrefix("the JSON values take more than 42") == true)
    #expect(folder.contents.isEmpty)
  }

  @Test func fullDiskIsAnError() throws {
    try onSmallDisk { disk in
      let path = disk.path("big")
      // Raw: known before anything is written.
      let raw = failure { () throws(InputError) in
        _ = try ContainerWriter(
          path: path, kind: "model", header: [:],
          datasets: [.init(name: "a", elementType: .u64, shape: [2 << 20])])
      }
      #expect(raw?.cause.hasPrefix("no space left on device: 1677") == true)
      #expect(raw?.cause.contains("bytes needed, 8") == true)

      // Compressed: known when a chunk is written or at the latest at the end.
      let noise = Sequence64.words(2 << 20, seed: 5)
      let zstd = failure { () throws(InputError) in
        let writer = try ContainerWriter(
          path: path, kind: "model", header: [:],
          datasets: [.init(name: "a", elementType: .u64, shape: [2 << 20], storage: .zstd)])
        try writer.write("a", values: noise)
        _ = try writer.finish()
      }
      #expect(zstd?.cause.contains("no space left on device") == true)
      #expect(disk.contents.isEmpty)

      // Metadata alone, at every fill level around the end of the disk.
      let header: JSON = ["text": .string(String(repeating: "x", count: 100_000))]
      let ballast = disk.url.appending(path: "ballast")
      var failureCount = 0
      for spare in stride(from: 0, through: 160 << 10, by: 4096) {
        try Data(repeating: 1, count: (8 << 20) - spare).write(to: ballast)
        let error = failure { () throws(InputError) in
          let writer = try ContainerWriter(
            path: path, kind: "model", header: header, datasets: Sample.datasets)
          try writer.write("public/table", values: Sample.table)
          try writer.write("shares", values: Sample.shares)
          _ = try writer.finish()
        }
        if let error {
          failureCount += 1
          #expect(error.cause.contains("no space left on device"), "\(spare): \(error)")
          #expect(disk.contents == ["ballast"])
        } else {
          _ = try ContainerReader(path: path, kind: "model", verifying: true)
          try FileManager.default.removeItem(atPath: path)
        }
        try FileManager.default.removeItem(at: ballast)
      }
      #expect((10...40).contains(failureCount))
    }
    // libhdf5 must be as good as new after all these failures.
    try Sample.write(to: folder.path("after"))
    #expect(
      try Sample.isIntact(
        ContainerReader(path: folder.path("after"), kind: "model", verifying: true)))
  }
}
