// Distributed comparison functions: keys for x < alpha that two parties evaluate on public points.

internal import CRingKernels

/// Distributed comparison functions f(x) = beta if x < alpha, else 0, whose keys have a layout.
///
/// Boyle et al., "Function secret sharing for mixed-mode and fixed-point secure computation"
/// (2021), section 3, over AES-128 under a public fixed key with 127-bit seeds, with a tree that
/// ends early. Both parties hold the same key bytes; each has its own 16-byte root, which must be
/// fresh, uniform and unknown to the other. A key and one root say nothing about alpha and beta.
public struct ComparisonFunction: Sendable {
  public let layout: ComparisonKeyLayout
  private let schedule: lodge_aes128_schedule

  /// `fixedKey`: 16 public bytes, the same for dealer and parties.
  public init(fixedKey: [UInt8], layout: ComparisonKeyLayout) {
    self.layout = layout
    schedule = lodge_aes128_schedule(fixedKey: fixedKey)
  }

  public var keyByteCount: Int { layout.byteCount }
  var payload: Int { layout.payload }

  private var kernelLayout: lodge_dcf_layout {
    lodge_dcf_layout(
      levels: CInt(layout.levels), payload: CInt(layout.payload),
      word_bytes: CInt(layout.wordByteCount), tail_bits: CInt(layout.tailBits),
      middle_levels: 0, gamma_words: 0)
  }

  /// Makes one key for every element of `alphas`.
  ///
  /// `betas` has `payload` elements a key, of which the low `wordByteCount` bytes count. `roots0`
  /// and `roots1` have two words a key: 16 random bytes of each party, of which bit 0 of the first
  /// word is ignored. `keys` has `keyByteCount` bytes a key. The result depends on neither
  /// `parallel` nor `arm`.
  public func generate(
    alphas: Span<UInt64>, betas: Span<UInt64>, roots0: Span<UInt64>, roots1: Span<UInt64>,
    into keys: inout MutableSpan<UInt8>, parallel: Bool = true, arm: KernelArm = .best
  ) {
    KeyGeneration(
      kind: .comparison, schedule: schedule, layout: kernelLayout,
      keyByteCount: keyByteCount
    ).run(
      alphas: alphas, betas: betas, roots0: roots0, roots1: roots1, into: &keys,
      parallel: parallel, arm: arm)
  }

  /// One party's additive shares of f at public points, `pointsPerKey` of them for each key.
  ///
  /// `keys` has `keyByteCount` bytes a key, `roots` this party's two words a key, `points` is
  /// [keys, pointsPerKey] and `shares` [keys, pointsPerKey, payload], numbers modulo 2^(8
  /// wordByteCount). Party 0's and party 1's shares add up to beta where point < alpha and to 0
  /// elsewhere. Many points of one key cost less where they ascend or descend but for a few places:
  /// then they share most of their paths.
  public func evaluate(
    party: Int, keys: RawSpan, roots: Span<UInt64>, pointsPerKey: Int = 1, points: Span<UInt64>,
    into shares: inout MutableSpan<UInt64>, parallel: Bool = true, arm: KernelArm = .best
  ) {
    precondition(party == 0 || party == 1, "party 0 or party 1")
    precondition(pointsPerKey >= 0 && roots.count % 2 == 0, "two root words a key")
    let keyCount = roots.count / 2
    precondition(keys.byteCount == keyCount * keyByteCount, "`keyByteCount` bytes a key")
    precondition(points.count == keyCount * pointsPerKey, "`pointsPerKey` points a key")
    precondition(shares.count == points.count * payload, "`payload` shares a point")
    let kernel = unsafe arm.kernels.dcf_evaluate
    // Whole keys where they fit: one walk serves many points of a key.
    let wholeKeys = pointsPerKey < 1024 ? 1024 / max(pointsPerKey, 1) * pointsPerKey : 1024
    let pointsPerPiece = parallel ? max(wholeKeys, 1) : max(points.count, 1)
    Parallel.forEachChunk(of: &shares, chunk: pointsPerPiece * payload) { range, piece in
      var (schedule, kernelLayout) = (schedule, kernelLayout)
      unsafe keys.withUnsafeBytes { keys in
        unsafe roots.withUnsafeBufferPointer { roots in
          unsafe points.withUnsafeBufferPointer { points in
            unsafe piece.withUnsafeMutableBufferPointer { shares in
              unsafe kernel(
                &schedule, &kernelLayout, CInt(party), range.lowerBound / payload,
                range.count / payload, pointsPerKey,
                keys.bindMemory(to: UInt8.self).baseAddress, roots.baseAddress,
                points.baseAddress, shares.baseAddress)
            }
          }
        }
      }
    }
  }

  /// The same with keys in a span of bytes.
  public func evaluate(
    party: Int, keys: Span<UInt8>, roots: Span<UInt64>, pointsPerKey: Int = 1,
    points: Span<UInt64>, into shares: inout MutableSpan<UInt64>, parallel: Bool = true,
    arm: KernelArm = .best
  ) {
    unsafe evaluate(
      party: party, keys: keys.bytes, roots: roots, pointsPerKey: pointsPerKey, points: points,
      into: &shares, parallel: parallel, arm: arm)
  }
}
