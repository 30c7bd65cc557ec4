// Point functions: keys for x = alpha, evaluated at all points and summed over tables.

internal import CRingKernels

/// What decides the bytes of a point key: f(x) = beta if x = alpha, else 0, for x and alpha of `bits`
/// bits and beta a vector of `payload` numbers modulo 2^(8 wordByteCount).
///
/// A key has ceil(d / 8) + 2^t v + 16 d bytes with v = payload wordByteCount: its tree has d = bits - t
/// levels, and its last nodes a value for each of the 2^t points below.
public struct PointKeyLayout: Hashable, Sendable {
  /// Bits of x and alpha, 1 to 12; higher bits are ignored.
  public let bits: Int
  /// Numbers in beta, 1 to 3.
  public let payload: Int
  /// Bytes of each of them, 1 to 8.
  public let wordByteCount: Int
  /// t: of 0 to min(bits - 1, 6) that with the least 2^t v + 24 d, the largest of such: all nodes are
  /// visited, and a level takes time besides its bytes.
  public let tailBits: Int

  public static let bitRange = 1...12

  public init(bits: Int, payload: Int, wordByteCount: Int = 8) {
    precondition(PointKeyLayout.bitRange.contains(bits), "1 to 12 bits")
    precondition((1...3).contains(payload), "a payload of 1 to 3 ring elements")
    precondition((1...8).contains(wordByteCount), "1 to 8 bytes a ring element")
    self.bits = bits
    self.payload = payload
    self.wordByteCount = wordByteCount
    func weight(_ tailBits: Int) -> Int {
      (payload * wordByteCount) << tailBits + 24 * (bits - tailBits)
    }
    tailBits = (0...min(bits - 1, 6)).reduce(0) { weight($1) <= weight($0) ? $1 : $0 }
  }

  /// Levels of the tree, each with a seed correction.
  public var depth: Int { bits - tailBits }

  public var byteCount: Int {
    (depth + 7) / 8 + (payload * wordByteCount) << tailBits + 16 * depth
  }
}

/// Point functions f(x) = beta if x = alpha, else 0, whose keys have a layout.
///
/// The trees of `ComparisonFunction` without values on the way. Both parties hold the same key bytes;
/// each has its own 16-byte root, which must be fresh, uniform and unknown to the other. A key and
/// one root say nothing about alpha and beta.
public struct PointFunction: Sendable {
  public let layout: PointKeyLayout
  private let schedule: lodge_aes128_schedule

  /// `fixedKey`: 16 public bytes, the same for dealer and parties.
  public init(fixedKey: [UInt8], layout: PointKeyLayout) {
    precondition(fixedKey.count == 16, "the fixed key has 16 bytes")
    self.layout = layout
    var schedule = lodge_aes128_schedule()
    unsafe lodge_aes128_expand(fixedKey, &schedule)
    self.schedule = schedule
  }

  private var kernelLayout: lodge_dcf_layout {
    lodge_dcf_layout(
      levels: CInt(layout.bits), payload: CInt(layout.payload),
      word_bytes: CInt(layout.wordByteCount), tail_bits: CInt(layout.tailBits))
  }

  /// Makes one key for every element of `alphas`; arguments as of `ComparisonFunction.generate`.
  public func generate(
    alphas: Span<UInt64>, betas: Span<UInt64>, roots0: Span<UInt64>, roots1: Span<UInt64>,
    into keys: inout MutableSpan<UInt8>, parallel: Bool = true, arm: KernelArm = .best
  ) {
    KeyGeneration(
      kind: .point, schedule: schedule, layout: kernelLayout,
      keyByteCount: layout.byteCount
    ).run(
      alphas: alphas, betas: betas, roots0: roots0, roots1: roots1, into: &keys,
      parallel: parallel, arm: arm)
  }

  /// One party's sums over all points x of its outputs times tables: for every key with its public
  /// `cell`, and every entry of `tables`, payload word `word` times values[(cell - x) mod 2^bits].
  ///
  /// `keys` has `layout.byteCount` bytes a key, `roots` this party's two words a key and `sums` is
  /// [keys, tables], numbers modulo 2^(8 wordByteCount). Both parties' sums add up to
  /// beta[word] values[(cell - alpha) mod 2^bits].
  public func sum(
    party: Int, keys: RawSpan, roots: Span<UInt64>, cells: Span<UInt64>, tables: TurnedTables,
    into sums: inout MutableSpan<UInt64>, parallel: Bool = true, arm: KernelArm = .best
  ) {
    let (count, tableCount) = (cells.count, tables.words.count)
    precondition(party == 0 || party == 1, "party 0 or party 1")
    precondition(roots.count == 2 * count, "two root words a key")
    precondition(keys.byteCount == count * layout.byteCount, "`byteCount` bytes a key")
    precondition(sums.count == count * tableCount, "a sum for every key and table")
    precondition(tables.bits == layout.bits, "tables of 2^bits values")
    precondition(
      tables.words.allSatisfy { (0..<CInt(layout.payload)).contains($0) }, "words of the payload")
    let kernel = unsafe arm.kernels.point_sum
    let keysPerPiece = parallel ? 128 : max(count, 1)
    Parallel.forEachChunk(of: &sums, chunk: keysPerPiece * tableCount) { range, piece in
      let keyRange = range.lowerBound / tableCount..<range.upperBound / tableCount
      var (schedule, kernelLayout) = (schedule, kernelLayout)
      let scratch = UnsafeMutableRawBufferPointer.allocate(
        byteCount: unsafe lodge_point_scratch_bytes(&kernelLayout), alignment: 64)
      defer { unsafe scratch.deallocate() }
      let bytes = keyRange.lowerBound * layout.byteCount..<keyRange.upperBound * layout.byteCount
      let rootRange = 2 * keyRange.lowerBound..<2 * keyRange.upperBound
      unsafe keys.extracting(bytes).withUnsafeBytes { keys in
        unsafe roots.extracting(rootRange).withUnsafeBufferPointer { roots in
          unsafe cells.extracting(keyRange).withUnsafeBufferPointer { cells in
            unsafe piece.withUnsafeMutableBufferPointer { sums in
              unsafe tables.words.withUnsafeBufferPointer { words in
                unsafe tables.values.withUnsafeBufferPointer { values in
                  unsafe kernel(
                    &schedule, &kernelLayout, CInt(party), keyRange.count,
                    keys.bindMemory(to: UInt8.self).baseAddress, roots.baseAddress,
                    cells.baseAddress, tableCount, words.baseAddress, values.baseAddress,
                    scratch.baseAddress, sums.baseAddress)
                }
              }
            }
          }
        }
      }
    }
  }
}

/// Public tables of 2^bits numbers, each to be multiplied with a word of a point function's payload.
public struct TurnedTables: Sendable {
  public let bits: Int
  let words: [CInt]
  /// For each table number m of 2^(bits + 1): its value at -m mod 2^bits.
  let values: [UInt64]

  public init(bits: Int, _ tables: [(word: Int, values: [UInt64])]) {
    let size = 1 << bits
    precondition(tables.allSatisfy { $0.values.count == size }, "2^bits values a table")
    self.bits = bits
    words = tables.map { CInt($0.word) }
    values = tables.flatMap { table in
      (0..<2 * size).map { table.values[(2 * size - $0) & (size - 1)] }
    }
  }
}
