// A vocabulary: token texts to ids and back, by bytes.

import Bytes

/// Texts and ids of a vocabulary; texts are compared byte by byte.
struct TokenTable: Sendable {
  static let largestID = 1 << 26

  /// All texts, one after the other.
  private var arena: [UInt8] = []
  private var ends: [Int] = []
  private var ids: [Int] = []
  /// Open addressing: entries by hash, -1 where there is none.
  private var slots: [Int32]
  private var entryOfID: [Int: Int32] = [:]
  private(set) var longestByteCount = 0
  private(set) var largest = -1

  init(capacity: Int) {
    var slotCount = 16
    while slotCount < capacity * 2 { slotCount *= 2 }
    slots = [Int32](repeating: -1, count: slotCount)
    ids.reserveCapacity(capacity)
    ends.reserveCapacity(capacity)
    entryOfID.reserveCapacity(capacity)
  }

  var count: Int { ids.count }

  private func range(_ entry: Int) -> Range<Int> {
    (entry == 0 ? 0 : ends[entry - 1])..<ends[entry]
  }

  private static func hash(_ text: ArraySlice<UInt8>) -> Int {
    var hasher = Hasher()
    unsafe text.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }

  /// The slot that holds `text`, or the empty one where it would stand.
  private func slot(of text: ArraySlice<UInt8>) -> Int {
    let mask = slots.count - 1
    var slot = TokenTable.hash(text) & mask
    while slots[slot] >= 0, arena[range(Int(slots[slot]))] != text { slot = (slot + 1) & mask }
    return slot
  }

  /// Adds a token; false where its id is there already, or its text and `replacing` is false.
  ///
  /// - Parameter replacing: Whether the later of equal texts gives the id of the text.
  /// - Precondition: fewer tokens than the capacity are there.
  mutating func add(_ text: String, id: Int, replacing: Bool = false) -> Bool {
    let bytes = Array(text.utf8)
    let slot = slot(of: bytes[...])
    guard slots[slot] < 0 || replacing, entryOfID[id] == nil else { return false }
    precondition(count < slots.count / 2)
    let entry = Int32(ids.count)
    slots[slot] = entry
    entryOfID[id] = entry
    arena += bytes
    ends.append(arena.count)
    ids.append(id)
    longestByteCount = max(longestByteCount, bytes.count)
    largest = max(largest, id)
    return true
  }

  func id(of text: ArraySlice<UInt8>) -> Int? {
    guard text.count <= longestByteCount else { return nil }
    let entry = slots[slot(of: text)]
    return entry < 0 ? nil : ids[Int(entry)]
  }

  func id(of text: String) -> Int? { id(of: Array(text.utf8)[...]) }

  func text(of id: Int) -> String? {
    entryOfID[id].map { String(decoding: arena[range(Int($0))], as: UTF8.self) }
  }

  /// The ids of `<0x00>` to `<0xFF>`, nil where one is missing.
  func byteIDs() -> [Int?] {
    (0..<256).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return id(of: "<0x\(digits.count < 2 ? "0" : "")\(digits)>")
    }
  }
}
