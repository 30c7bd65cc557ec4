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
    let lines = inspection.text.split(separator: "\n").map(String.init)
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
        "name          number  type  shape   storage     size  in file",
        "------------  ------  ----  ------  -------  -------  -------",
        "nothing            1  u16   4x0     zstd         0 B      0 B",
        "public/empty       1  i8    0x7     raw          0 B      0 B",
        "public/table       1  f32   20x5x6  zstd     2.40 kB    \(stored) B",
        "shares             1  u64   3x5     raw        120 B    120 B",
        "4 datasets, 2.52 kB. --all shows all of the header, and every dataset.",
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
    #expect(!inspection.text.contains("TOPSECRET"))
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
