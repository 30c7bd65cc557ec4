// Hostile containers made from valid ones: a seed and a number give the same forgery everywhere.

import TestSupport

/// One forged file.
struct ContainerForgery {
  let bytes: [UInt8]
  /// What was done, for reports.
  let description: String

  /// Forgery `number` of the stream of `seed`, from one of `bases`.
  init(_ bases: [ContainerAnatomy], seed: UInt64, number: Int) {
    var random = SplitMix(seed &+ UInt64(number) &* 0x9e37_79b9_7f4a_7c15)
    let index = Int.random(in: bases.indices, using: &random)
    var draft = Draft(anatomy: bases[index], random: random)
    for _ in 0..<Int.random(in: 1...3, using: &draft.random) { draft.change() }
    bytes = draft.finished()
    description = "base \(index): \(draft.changes.joined(separator: ", "))"
  }

  private struct Draft {
    let anatomy: ContainerAnatomy
    var random: SplitMix
    var bytes: [UInt8]
    var changes: [String] = []
    /// Structures whose checksums have to be made right.
    private var touched: Set<Int> = []

    init(anatomy: ContainerAnatomy, random: SplitMix) {
      self.anatomy = anatomy
      self.random = random
      bytes = anatomy.bytes
    }

    mutating func change() {
      switch Int.random(in: 0..<24, using: &random) {
      case 0: flipBits()
      case 1: resize()
      case 2: copyStructure()
      case 3...5: setByte()
      case 6: swapBytes()
      case 7...12: setMessageByte()
      case 13...15: setPointer()
      case 16: setName()
      default: setInteger()
      }
    }

    /// A field of a structure, aligned to nothing; those near its beginning more often.
    private mutating func place(byteCount: Int) -> Int? {
      let index = Int.random(in: anatomy.structures.indices, using: &random)
      let structure = anatomy.structures[index]
      let used =
        Bool.random(using: &random)
        ? structure.range
        : structure.range
          .lowerBound..<min(
            structure.range.lowerBound + 96, structure.range.upperBound)
      guard used.count > byteCount, used.upperBound <= bytes.count else { return nil }
      touched.insert(index)
      changes.append("\(structure.signature) at \(structure.range.lowerBound)")
      return Int.random(in: used.lowerBound...used.upperBound - byteCount, using: &random)
    }

    private mutating func flipBits() {
      changes.append("bits")
      for _ in 0..<Int.random(in: 1...8, using: &random) where !bytes.isEmpty {
        bytes[Int.random(in: bytes.indices, using: &random)] ^=
          1 << UInt8.random(in: 0..<8, using: &random)
      }
    }

    /// Cut off or made longer, with the length that the superblock states.
    private mutating func resize() {
      changes.append("length")
      if Bool.random(using: &random) {
        bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
      } else {
        bytes += [UInt8](repeating: 0, count: Int.random(in: 1...4096, using: &random))
      }
      guard bytes.count >= 36 else { return }
      set(UInt64(bytes.count), at: 28, byteCount: 8)
      touched.insert(0)
    }

    private mutating func setByte() {
      guard let place = place(byteCount: 1) else { return }
      let values: [UInt8] = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 64, 127, 128, 254, 255]
      bytes[place] =
        Bool.random(using: &random)
        ? values[Int.random(in: values.indices, using: &random)]
        : UInt8.random(in: 0...255, using: &random)
    }

    private func integer(at place: Int, byteCount: Int) -> UInt64 {
      (0..<byteCount).reversed().reduce(0) { $0 << 8 | UInt64(bytes[place + $1]) }
    }

    /// A byte of one message of an object header; of long messages one near their beginning.
    private mutating func setMessageByte() {
      let headers = anatomy.structures.indices.filter {
        anatomy.structures[$0].signature == "OHDR"
      }
      let index = headers[Int.random(in: headers.indices, using: &random)]
      let range = anatomy.structures[index].range
      guard range.upperBound <= bytes.count else { return }
      // Our writer stores neither times nor creation orders.
      var place = range.lowerBound + 6 + (1 << Int(anatomy.bytes[range.lowerBound + 5] & 3))
      var messages: [Range<Int>] = []
      while place + 4 < range.upperBound {
        let size = Int(anatomy.bytes[place + 1]) | Int(anatomy.bytes[place + 2]) << 8
        let end = min(place + 4 + size, range.upperBound)
        // A message of no type holds nothing.
        if size > 0, anatomy.bytes[place] != 0 { messages.append(place + 4..<end) }
        place = end
      }
      guard let message = messages.randomElement(using: &random) else { return }
      let byte = Int.random(
        in: message.lowerBound..<min(message.upperBound, message.lowerBound + 24), using: &random)
      let values: [UInt8] = [
        0, 1, 2, 3, 4, 9, 16, 17, 18, 255, bytes[byte] &+ 1, bytes[byte] &- 1,
      ]
      bytes[byte] = values[Int.random(in: values.indices, using: &random)]
      touched.insert(index)
      changes.append("message at \(message.lowerBound)")
    }

    /// An address of another structure becomes undefined, or that of a third one.
    private mutating func setPointer() {
      let starts = Set(anatomy.structures.map { UInt64($0.range.lowerBound) })
      let index = Int.random(in: anatomy.structures.indices, using: &random)
      let range = anatomy.structures[index].range
      guard range.count >= 8, range.upperBound <= bytes.count else { return }
      let places = (range.lowerBound..<min(range.upperBound - 7, range.lowerBound + 1024)).filter {
        let value = integer(at: $0, byteCount: 8)
        return value != 0 && starts.contains(value)
      }
      guard let place = places.randomElement(using: &random) else { return }
      let targets = [.max, 0, starts.sorted().randomElement(using: &random) ?? 0]
      set(targets[Int.random(in: 0..<3, using: &random)], at: place, byteCount: 8)
      touched.insert(index)
      changes.append("pointer at \(place)")
    }

    /// Two links get one name.
    private mutating func setName() {
      let prefix = Array("some-dataset-".utf8)
      let index = Int.random(in: anatomy.structures.indices, using: &random)
      let range = anatomy.structures[index].range
      guard anatomy.structures[index].signature == "FHDB", range.upperBound <= bytes.count else {
        return
      }
      let places = (range.lowerBound..<range.upperBound - prefix.count - 2).filter {
        bytes[$0..<$0 + prefix.count].elementsEqual(prefix)
      }
      guard let place = places.randomElement(using: &random) else { return }
      bytes[place + prefix.count] = UInt8.random(in: 0x30...0x39, using: &random)
      touched.insert(index)
      changes.append("name at \(place)")
    }

    private mutating func swapBytes() {
      guard let first = place(byteCount: 8), let second = place(byteCount: 8),
        abs(first - second) >= 8
      else { return }
      for offset in 0..<8 { bytes.swapAt(first + offset, second + offset) }
    }

    /// Sizes that are too large by one or by far, and addresses of other structures.
    private mutating func setInteger() {
      let byteCount = [1, 2, 4, 8, 8, 8][Int.random(in: 0..<6, using: &random)]
      guard let place = place(byteCount: byteCount) else { return }
      let other = anatomy.structures[Int.random(in: anatomy.structures.indices, using: &random)]
      let old = integer(at: place, byteCount: byteCount)
      let values: [UInt64] = [
        0, 1, .max, .max - 1, 1 << 31, 1 << 32, 1 << 50, 1 << 63, UInt64(bytes.count),
        UInt64(max(bytes.count, 1) - 1), UInt64(other.range.lowerBound), old &+ 1, old &- 1,
        old &* 2, old / 2, old &+ 8, old &- 8, random.next(),
      ]
      set(
        values[Int.random(in: values.indices, using: &random)], at: place, byteCount: byteCount)
    }

    private mutating func set(_ value: UInt64, at place: Int, byteCount: Int) {
      for index in 0..<byteCount {
        bytes[place + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
      }
    }

    /// One structure in the place of another of its kind.
    private mutating func copyStructure() {
      let structures = anatomy.structures
      let target = Int.random(in: structures.indices, using: &random)
      let alike = structures.filter { $0.signature == structures[target].signature }
      let source = alike[Int.random(in: alike.indices, using: &random)]
      let count = min(source.range.count, structures[target].range.count)
      let start = structures[target].range.lowerBound
      guard start + count <= bytes.count else { return }
      changes.append("copy to \(structures[target].signature) at \(start)")
      bytes.replaceSubrange(
        start..<start + count, with: anatomy.bytes[source.range.prefix(count)])
      touched.insert(target)
    }

    /// The file with the checksums that its structures should have.
    func finished() -> [UInt8] {
      var result = bytes
      for index in touched.sorted() {
        let structure = anatomy.structures[index]
        guard max(structure.range.upperBound, structure.checksum + 4) <= result.count else {
          continue
        }
        let checksum = ContainerAnatomy.checksum(structure, in: result)
        for byte in 0..<4 {
          result[structure.checksum + byte] = UInt8(
            truncatingIfNeeded: checksum >> UInt32(8 * byte))
        }
      }
      return result
    }
  }
}
