// SentencePiece's compiled character map: a double array from characters to what replaces them.

import Bytes
import Foundation

/// `Precompiled`: the nmt_nfkc rules and the like, as SentencePiece stores them.
///
/// A length in bytes, so many bytes of a Darts double array of 32-bit units, and the replacements,
/// each ended by a zero byte.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// - Throws: `InputError` where the parts do not fit the bytes.
  init(_ bytes: [UInt8], source: String, place: String) throws(InputError) {
    func word(_ offset: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
    guard bytes.count >= 4, case let size = Int(word(0)), size % 4 == 0, size > 0,
      size <= bytes.count - 4
    else { throw InputError(source, place: place, "is no compiled character map") }
    units = stride(from: 4, to: 4 + size, by: 4).map(word)
    replacements = Array(bytes[(4 + size)...])
  }

  /// What replaces the shortest beginning of `text` that has a rule; nil where none has.
  private func replacement(_ text: [UInt8]) -> Scalars? {
    func unit(_ index: UInt32) -> UInt32? {
      Int(index) < units.count ? units[Int(index)] : nil
    }
    func offset(_ unit: UInt32) -> UInt32 { (unit >> 10) << ((unit & (1 << 9)) >> 6) }
    guard let root = unit(0) else { return nil }
    var node = offset(root)
    for byte in text {
      guard byte != 0 else { return nil }
      node ^= UInt32(byte)
      guard let found = unit(node), found & 0x8000_00ff == UInt32(byte) else { return nil }
      node ^= offset(found)
      guard found >> 8 & 1 == 1 else { continue }
      guard let leaf = unit(node) else { return nil }
      let start = Int(leaf & 0x7fff_ffff)
      guard start < replacements.count else { return nil }
      let end = replacements[start...].firstIndex(of: 0) ?? replacements.count
      return Scalars(String(decoding: replacements[start..<end], as: UTF8.self))
    }
    return nil
  }

  func apply(_ text: Scalars) throws(InputError) -> Scalars {
    var result: Scalars = []
    for character in String(String.UnicodeScalarView(text)) {
      let scalars = Scalars(character.unicodeScalars)
      let bytes = Array(character.utf8)
      // The reference looks up what people see as one character only where it is this short.
      if bytes.count < 6, let replacement = replacement(bytes) {
        result += replacement
        continue
      }
      for scalar in scalars { result += replacement([scalar].utf8) ?? [scalar] }
    }
    return result
  }
}
