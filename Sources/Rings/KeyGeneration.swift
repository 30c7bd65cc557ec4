// Runs the kernels that make keys.

internal import CRingKernels

extension lodge_aes128_schedule {
  /// Round keys of 16 public bytes.
  init(fixedKey: [UInt8]) {
    precondition(fixedKey.count == 16, "the fixed key has 16 bytes")
    self.init()
    unsafe lodge_aes128_expand(fixedKey, &self)
  }
}

/// Generation of keys of one layout.
struct KeyGeneration {
  enum Kind { case comparison, point }

  var kind: Kind
  var schedule: lodge_aes128_schedule
  var layout: lodge_dcf_layout
  var keyByteCount: Int

  /// One key for every element of `alphas`: `layout.payload` elements of `betas`, those of gamma
  /// behind them, and two words of each party's roots a key.
  func run(
    alphas: Span<UInt64>, betas: Span<UInt64>, roots0: Span<UInt64>, roots1: Span<UInt64>,
    into keys: inout MutableSpan<UInt8>, parallel: Bool, arm: KernelArm
  ) {
    let (count, payload) = (alphas.count, Int(layout.payload + layout.gamma_words))
    precondition(betas.count == count * payload, "`payload` elements of beta a key")
    precondition(roots0.count == 2 * count && roots1.count == 2 * count, "two root words a key")
    precondition(keys.count == count * keyByteCount, "`keyByteCount` bytes a key")
    let kernels = arm.kernels
    let kernel = unsafe kind == .point ? kernels.point_generate : kernels.dcf_generate
    let keysPerPiece = parallel ? 256 : max(count, 1)
    Parallel.forEachChunk(of: &keys, chunk: keysPerPiece * keyByteCount) { range, piece in
      let keyRange = (range.lowerBound / keyByteCount)..<(range.upperBound / keyByteCount)
      var (schedule, layout) = (schedule, layout)
      unsafe alphas.extracting(keyRange).withUnsafeBufferPointer { alphas in
        unsafe betas.extracting(scaled(keyRange, payload)).withUnsafeBufferPointer { betas in
          unsafe roots0.extracting(scaled(keyRange, 2)).withUnsafeBufferPointer { roots0 in
            unsafe roots1.extracting(scaled(keyRange, 2)).withUnsafeBufferPointer { roots1 in
              unsafe piece.withUnsafeMutableBufferPointer { keys in
                unsafe kernel(
                  &schedule, &layout, keyRange.count, alphas.baseAddress, betas.baseAddress,
                  roots0.baseAddress, roots1.baseAddress, keys.baseAddress)
              }
            }
          }
        }
      }
    }
  }
}

private func scaled(_ range: Range<Int>, _ factor: Int) -> Range<Int> {
  (range.lowerBound * factor)..<(range.upperBound * factor)
}
