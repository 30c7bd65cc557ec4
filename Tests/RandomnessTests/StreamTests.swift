// Random access, separation of labels, and what a seed lets out.

import Randomness
import Testing

@Suite struct StreamTests {
  static let seed = Seed(bytes: (0..<32).map { UInt8($0 * 7) })
  static let label = StreamLabel(session: 1, party: 0, operation: 2, kind: 3, index: 4)

  @Test func everyPieceIsASliceOfTheWhole() {
    let stream = RandomStream(seed: Self.seed, label: Self.label)
    let whole = stream.words(at: 0, count: 9000)
    for offset in [0, 1, 2, 3, 5, 8, 17, 4095] {
      for count in [0, 1, 2, 3, 7, 8, 9, 64, 4095] {
        #expect(stream.words(at: offset, count: count) == Array(whole[offset..<(offset + count)]))
      }
    }
    let bytes = stream.bytes(at: 0, count: 128)
    #expect(stream.bytes(at: 120, count: 8) == Array(bytes[120...]))
    for offset in 0..<40 {
      for count in 0..<40 {
        #expect(stream.bytes(at: offset, count: count) == Array(bytes[offset..<(offset + count)]))
      }
    }
    for index in 0..<16 {
      let word = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[8 * index + $1]) << (8 * $1) }
      #expect(word == whole[index])
    }
  }

  @Test func aReaderGivesTheSameWordsHoweverOftenItIsAsked() {
    let stream = RandomStream(seed: Self.seed, label: Self.label)
    let reader = StreamReader(stream)
    let whole = stream.words(at: 0, count: 9000)
    for ranges in [[], [0..<5], [7..<7, 8999..<9000, 1..<4000], [3..<4, 0..<1], [0..<5]] {
      #expect(reader.words(in: ranges) == ranges.flatMap { whole[$0] })
    }
  }

  /// Pieces around the registers of the kernels, from all places within them.
  @Test func allCiphersMakeTheSameStream() {
    let stream = RandomStream(seed: Self.seed, label: Self.label)
    let whole = stream.words(at: 0, count: 5000, by: .libcrypto)
    for cipher in StreamCipher.available {
      for offset in [0, 1, 2, 3, 30, 31, 32, 33, 63, 64, 1000] {
        for count in [0, 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 3000] {
          #expect(
            stream.words(at: offset, count: count, by: cipher)
              == Array(whole[offset..<(offset + count)]))
        }
      }
    }
  }

  @Test func fillOverwritesTheSpanAndNothingElse() {
    let stream = RandomStream(seed: Self.seed, label: Self.label)
    for (lower, upper) in [(0, 0), (0, 1), (1, 2), (3, 40), (0, 20_000)] {
      var words = [UInt64](repeating: 0x55, count: 20_002)
      var span = words.mutableSpan
      stream.fill(&span, in: lower..<upper, at: 11)
      let expected = stream.words(at: 11, count: upper - lower)
      #expect(Array(words[lower..<upper]) == expected)
      #expect(words[..<lower].allSatisfy { $0 == 0x55 })
      #expect(words[upper...].allSatisfy { $0 == 0x55 })
      var whole = words.mutableSpan
      stream.fill(&whole, at: 11)
      #expect(words == stream.words(at: 11, count: words.count))
    }
  }

  @Test func everyFieldOfTheLabelSeparatesStreams() {
    var labels = [Self.label]
    for field in 0..<5 {
      var label = Self.label
      switch field {
      case 0: label.session = 2
      case 1: label.party = 1
      case 2: label.operation = 3
      case 3: label.kind = 4
      default: label.index = 5
      }
      labels.append(label)
    }
    let starts = labels.map { RandomStream(seed: Self.seed, label: $0).words(at: 0, count: 2) }
    #expect(Set(starts).count == labels.count)
    #expect(Set(labels.map(\.bytes)).count == labels.count)
    let other = RandomStream(seed: Self.seed.derived(label: "other"), label: Self.label)
    #expect(!starts.contains(other.words(at: 0, count: 2)))
  }

  @Test func wordsLookUniform() {
    // Chi-square over bytes with 255 degrees of freedom: mean 255, deviation about 22.6.
    let bytes = RandomStream(seed: Self.seed, label: Self.label).bytes(at: 5, count: 1 << 20)
    var counts = [Double](repeating: 0, count: 256)
    for byte in bytes { counts[Int(byte)] += 1 }
    let expected = Double(bytes.count) / 256
    let statistic = counts.reduce(0) { $0 + ($1 - expected) * ($1 - expected) / expected }
    #expect((150...370).contains(statistic))
  }

  @Test func freshSeedsDiffer() {
    let seeds = (0..<16).map { _ in Seed.random().bytes }
    #expect(Set(seeds).count == 16)
    #expect(seeds.allSatisfy { $0.count == Seed.byteCount })
  }

  @Test func seedsKeepTheirBytes() {
    #expect(Seed(bytes: Self.seed.bytes) == Self.seed)
    #expect(Self.seed.withBytes { $0[3] } == 21)
    #expect(Self.seed != Self.seed.derived(label: ""))
    #expect(Self.seed.derived(label: "a") != Self.seed.derived(label: "b"))
  }

  @Test func seedsDoNotPrintTheirBytes() {
    var dumped = ""
    dump(Self.seed, to: &dumped)
    dump(RandomStream(seed: Self.seed, label: Self.label), to: &dumped)
    #expect("\(Self.seed)" == "Seed(32 bytes)")
    #expect(String(reflecting: Self.seed) == "Seed(32 bytes)")
    #expect(Mirror(reflecting: Self.seed).children.isEmpty)
    // 21, 28 and 35 are bytes of the seed; neither they nor their hexadecimal form may show.
    for text in ["21", "28", "35", "151c23"] { #expect(!dumped.contains(text)) }
  }
}
