// What inspection shows, and that it keeps seeds and content to itself.

import Bytes
import Containers
import Foundation
import Testing

@Suite struct InspectionTests {
  let folder = try! ScratchFolder()

  @Test func tableIsAligned() throws {
    let path = folder.path("sample.lodge")
    let digest = try Sample.write(to: path)
    let inspection = try ContainerInspection(path: path)
    let lines = inspection.table.split(separator: "\n").map(String.init)
    let hexadecimal = digest.map { String(Int($0) + 0x100, radix: 16).suffix(2) }.joined()
    #expect(lines[0] == "file    \(path)")
    #expect(lines[1] == "kind    model")
    #expect(lines[2] == "digest  \(hexadecimal)")
    #expect(inspection.digest == hexadecimal)
    let stored = try #require(
      inspection.rows.first { $0.description.name == "public/table" }?.storedByteCount)
    #expect(stored > 50 && stored < 1000)
    #expect(
      Array(lines.suffix(7)) == [
        "name          type  shape   storage  bytes  in file",
        "------------  ----  ------  -------  -----  -------",
        "nothing       u16   4x0     zstd         0        0",
        "public/empty  i8    0x7     raw          0        0",
        "public/table  f32   20x5x6  zstd      2400      \(stored)",
        "shares        u64   3x5     raw        120      120",
        "4 datasets, 2520 bytes",
      ])
  }

  @Test func seedsAreNotShown() throws {
    let path = folder.path("bundle")
    let header: JSON = [
      "seed": "TOPSECRET", "parties": [["maskSeed": "TOPSECRET"], ["seeds": ["TOPSECRET"]]],
      "layers": 4,
    ]
    let writer = try ContainerWriter(path: path, kind: "bundle", header: header, datasets: [])
    _ = try writer.finish()
    let inspection = try ContainerInspection(path: path)
    #expect(!inspection.table.contains("TOPSECRET"))
    #expect(!inspection.json.text.contains("TOPSECRET"))
    #expect(inspection.json.text.contains("\"seed\":\"(secret)\""))
    #expect(inspection.json.text.contains("\"layers\":4"))
  }

  @Test func damagedFilesAreNotShown() throws {
    let path = folder.path("sample.lodge")
    try Sample.write(to: path)
    var bytes = try Data(contentsOf: URL(filePath: path))
    let shares = unsafe Sample.shares.withUnsafeBytes { unsafe Data($0) }
    bytes[try #require(bytes.range(of: shares)).lowerBound] ^= 1
    try bytes.write(to: URL(filePath: path))
    #expect(
      failure { () throws(InputError) in _ = try ContainerInspection(path: path) }?.place
        == "shares")
  }
}
