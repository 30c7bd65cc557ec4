// Where the structures of a valid container lie, so that a forgery can keep their checksums right.

import HDF5Reading

/// The structures with checksums in a file that our writer made.
struct ContainerAnatomy {
  struct Structure {
    /// Everything but its checksum, unless that lies inside.
    var range: Range<Int>
    /// Where its checksum lies.
    var checksum: Int
    var signature: String
  }

  let bytes: [UInt8]
  let structures: [Structure]

  private static let signatures = [
    "OHDR", "OCHK", "BTHD", "BTIN", "BTLF", "FRHP", "FHDB", "FHIB", "FAHD", "FADB",
  ]
  private static let superblockByteCount = 48

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    var structures = [
      Structure(
        range: 0..<ContainerAnatomy.superblockByteCount - 4,
        checksum: ContainerAnatomy.superblockByteCount - 4, signature: "superblock")
    ]
    for start in bytes.indices.dropLast(8) {
      let signature = String(decoding: bytes[start..<start + 4], as: UTF8.self)
      guard ContainerAnatomy.signatures.contains(signature) else { continue }
      if signature == "FHDB" {
        // The size stands elsewhere; the place of the checksum depends on the width of offsets.
        for (bits, place) in (9...16).flatMap({ bits in [17, 18].map { (bits, $0) } }) {
          let found = Structure(
            range: start..<min(start + 1 << bits, bytes.count), checksum: start + place,
            signature: signature)
          if ContainerAnatomy.isRight(found, in: bytes) { structures.append(found) }
        }
      } else if let end = (start + 8..<min(start + 1 << 13, bytes.count - 3)).first(where: {
        ContainerAnatomy.isRight(
          Structure(range: start..<$0, checksum: $0, signature: signature), in: bytes)
      }) {
        structures.append(
          Structure(range: start..<end, checksum: end, signature: signature))
      }
    }
    self.structures = structures
  }

  /// The checksum that belongs to a structure.
  static func checksum(_ structure: Structure, in bytes: [UInt8]) -> UInt32 {
    var part = Array(bytes[structure.range])
    let inside = structure.checksum - structure.range.lowerBound
    if inside + 4 <= part.count { for index in inside..<inside + 4 { part[index] = 0 } }
    return unsafe HDF5Checksum.lookup3(part.span.bytes)
  }

  private static func isRight(_ structure: Structure, in bytes: [UInt8]) -> Bool {
    guard structure.checksum + 4 <= bytes.count else { return false }
    let stated = bytes[structure.checksum..<structure.checksum + 4].reversed()
      .reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return stated == checksum(structure, in: bytes)
  }
}
