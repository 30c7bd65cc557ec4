// Arithmetic modulo 2^64 on arrays of words, by the vector instructions of an arm.

internal import CRingKernels

/// Operations on arrays of ring elements, the same bit for bit whatever the arm.
public struct WordArrays: Sendable {
  let kernels: lodge_word_kernels

  /// The operations of an arm that this processor has.
  public init(_ arm: KernelArm) { kernels = unsafe lodge_word_kernels_of(arm.code).pointee }

  /// Those of the fastest arm.
  public static let best = WordArrays(.best)

  /// An array of `count` words that `fill` writes to from the first to the last.
  @inline(__always)
  static func filled(
    _ count: Int, _ fill: (UnsafeMutablePointer<UInt64>) -> Void
  ) -> [UInt64] {
    unsafe [UInt64](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let first = buffer.baseAddress, count > 0 { unsafe fill(first) }
      initialized = count
    }
  }

  /// ((share mod 2^ringBits) >> shift) + one + mask, modulo 2^bits.
  public func masked(
    _ share: [UInt64], ringBits: Int, shift: Int, one: UInt64, mask: [UInt64], bits: Int
  ) -> [UInt64] {
    precondition(share.count == mask.count, "a mask an element")
    precondition((1...64).contains(ringBits) && (1...64).contains(bits), "1 to 64 bits")
    precondition((0..<64).contains(shift), "fewer bits are dropped than there are")
    return unsafe WordArrays.filled(share.count) { out in
      unsafe kernels.mask(
        share, mask, share.count, CInt(ringBits), CInt(shift), one, CInt(bits), out)
    }
  }

  /// Appends the lowest `bits` of each word without gaps, filled up with zeros to a whole word; the
  /// bits above must be zero.
  public func pack(_ words: [UInt64], bits: Int, into packed: inout [UInt64]) {
    precondition((1...64).contains(bits), "1 to 64 bits")
    if bits == 64 {
      packed += words
      return
    }
    packed += unsafe WordArrays.filled((words.count * bits + 63) / 64) { out in
      unsafe kernels.pack(words, words.count, CInt(bits), out)
    }
  }

  /// Adds packed words to `words`, modulo 2^bits.
  public func add(packed: ArraySlice<UInt64>, bits: Int, to words: inout [UInt64]) {
    precondition((1...64).contains(bits), "1 to 64 bits")
    precondition(packed.count == (words.count * bits + 63) / 64, "as many words as are packed")
    unsafe words.withUnsafeMutableBufferPointer { words in
      unsafe packed.withUnsafeBufferPointer { packed in
        guard let to = words.baseAddress, let from = packed.baseAddress else { return }
        if bits == 64 {
          unsafe kernels.add_runs(from, 1, words.count, 1, to)
        } else {
          unsafe kernels.add_packed(from, words.count, CInt(bits), to)
        }
      }
    }
  }

  /// factor * word + constant.
  public func scaled(_ words: [UInt64], by factor: UInt64, plus constant: UInt64) -> [UInt64] {
    unsafe WordArrays.filled(words.count) { out in
      unsafe kernels.scale(words, words.count, factor, constant, out)
    }
  }

  /// sum += factor * words; each word serves an equal run of the sum.
  public func add(_ words: [UInt64], times factor: UInt64 = 1, to sum: inout [UInt64]) {
    guard !words.isEmpty else {
      precondition(sum.isEmpty, "a word for every run")
      return
    }
    let run = sum.count / words.count
    precondition(run * words.count == sum.count, "equal runs")
    unsafe sum.withUnsafeMutableBufferPointer { sum in
      guard let to = sum.baseAddress else { return }
      unsafe kernels.add_runs(words, run, words.count, factor, to)
    }
  }

  /// sum += row for each row of the sum.
  public func add(row: ArraySlice<UInt64>, to sum: inout [UInt64]) {
    guard !row.isEmpty else {
      precondition(sum.isEmpty, "rows of some width")
      return
    }
    precondition(sum.count % row.count == 0, "whole rows")
    unsafe sum.withUnsafeMutableBufferPointer { sum in
      unsafe row.withUnsafeBufferPointer { row in
        guard let to = sum.baseAddress, let from = row.baseAddress else { return }
        unsafe kernels.add_row(from, row.count, sum.count / row.count, to)
      }
    }
  }

  /// The sums of runs of `run` words.
  public func sums(_ words: [UInt64], run: Int) -> [UInt64] {
    guard run > 0 else { return [] }
    precondition(words.count % run == 0, "whole runs")
    return unsafe WordArrays.filled(words.count / run) { out in
      unsafe kernels.sum_runs(words, run, words.count / run, out)
    }
  }

  /// Base and lift of the view of opened words of `bits` bits, shifted right by `shift`: with c = word
  /// + 2^(bits-2) modulo 2^bits, (c >> shift) - (2^(bits-2) >> shift) and (1 - (c >> (bits-1))) <<
  /// (bits - shift).
  public func view(_ opened: [UInt64], shift: Int, bits: Int) -> (base: [UInt64], lift: [UInt64]) {
    precondition((2...64).contains(bits) && (0..<bits).contains(shift), "a part of the bits")
    var lift: [UInt64] = []
    let base = unsafe WordArrays.filled(opened.count) { base in
      lift = unsafe WordArrays.filled(opened.count) { lift in
        unsafe kernels.view(opened, opened.count, CInt(shift), CInt(bits), base, lift)
      }
    }
    return (base, lift)
  }

  /// Sums modulo 2^16 of numbers that stand in turned order, four a word: number (n - cell) modulo
  /// `cellCount`, a power of two, of an element belongs to place n.
  ///
  /// - Parameters:
  ///   - words: as many for each element, at least enough for `cellCount` numbers.
  ///   - cells: one an element, below `cellCount`.
  ///   - bounds: ascending.
  /// - Returns: for each bound and element, row-major, the sum of the numbers of places -1 ..< bound.
  public func cellSums(
    _ words: [UInt64], cellCount: Int, cells: [UInt32], bounds: [Int]
  ) -> [UInt64] {
    guard !cells.isEmpty else { return [] }
    let wordCount = words.count / cells.count
    precondition(wordCount * cells.count == words.count, "as many words an element")
    precondition(
      cellCount > 0 && cellCount & (cellCount - 1) == 0 && 4 * wordCount >= cellCount,
      "a power of two")
    let bounds = bounds.map(Int64.init)
    return unsafe WordArrays.filled(bounds.count * cells.count) { out in
      unsafe kernels.cell_sums(
        words, wordCount, cellCount, cells, cells.count, bounds, bounds.count, out)
    }
  }
}
