// Opened values and their views: public words under masks of which each party has a share.

internal import CRingKernels

/// An opened value or view: x = base + sum over parts of coefficient * mask part.
public struct MaskedWords: Sendable {
  /// The public part.
  public var base: [UInt64]
  /// This party's shares of the mask parts: r, or t and h of a view.
  public var parts: [[UInt64]]
  /// Public coefficient of h, for views; those of r and t are -1.
  public var lift: [UInt64]?

  public init(base: [UInt64], parts: [[UInt64]], lift: [UInt64]? = nil) {
    precondition(parts.count == (lift == nil ? 1 : 2), "r, or t and h of a view")
    precondition(
      parts.allSatisfy { $0.count == base.count } && lift.map { $0.count == base.count } ?? true,
      "a word of each part an element")
    self.base = base
    self.parts = parts
    self.lift = lift
  }

  /// Public coefficient of part `part` at element `index`.
  @inline(__always)
  public func coefficient(_ part: Int, _ index: Int) -> UInt64 {
    if part == 1, let lift { return lift[index] }
    return .max
  }

  /// Elements `range`.
  public subscript(_ range: Range<Int>) -> MaskedWords {
    MaskedWords(
      base: Array(base[range]), parts: parts.map { Array($0[range]) },
      lift: lift.map { Array($0[range]) })
  }

  /// factor * base plus this party's share of x - base: with the factor 1 at one party and 0 at the
  /// other, shares of x.
  public func share(factor: UInt64, by arrays: WordArrays = .best) -> [UInt64] {
    unsafe withKernelOperand { x in
      unsafe WordArrays.filled(base.count) { out in
        unsafe arrays.kernels.share(x, base.count, factor, out)
      }
    }
  }

  /// Shares of x y, each element of y serving an equal run of x, with dealt shares of part i of x
  /// times part j of y in products[i * y.parts.count + j].
  public func multiplied(
    by y: MaskedWords, products: [[UInt64]], factor: UInt64, by arrays: WordArrays = .best
  ) -> [UInt64] {
    precondition(
      products.count == parts.count * y.parts.count
        && products.allSatisfy { $0.count == base.count }, "a product of every pair of parts")
    guard !base.isEmpty else { return [] }
    precondition(!y.base.isEmpty && base.count % y.base.count == 0, "equal runs")
    let run = base.count / y.base.count
    return unsafe withKernelOperand { x in
      unsafe y.withKernelOperand { right in
        unsafe MaskedWords.withPointers(products) { pointers in
          // By part of x and of y, two places each.
          var all = unsafe [UnsafePointer<UInt64>?](repeating: nil, count: 4)
          for index in products.indices {
            unsafe all[index / y.parts.count * 2 + index % y.parts.count] = unsafe pointers[index]
          }
          return unsafe WordArrays.filled(base.count) { out in
            unsafe arrays.kernels.multiply(x, right, &all, run, y.base.count, factor, out)
          }
        }
      }
    }
  }

  /// Most coefficients of a polynomial.
  public static let coefficientLimit = 16

  /// Shares of sum over k of coefficients[k] x^k.
  ///
  /// - Parameters:
  ///   - powers: dealt shares of r^2, r^3, ... (or of t) up to the degree.
  ///   - topPowers: of a view, dealt shares of h t, h t^2, ... up to one less than the degree.
  public func polynomial(
    _ coefficients: [UInt64], powers: ArraySlice<[UInt64]>, topPowers: ArraySlice<[UInt64]>,
    factor: UInt64, by arrays: WordArrays = .best
  ) -> [UInt64] {
    let count = coefficients.count
    precondition((1...MaskedWords.coefficientLimit).contains(count), "1 to 16 coefficients")
    precondition(powers.count >= count - 2, "a power of the mask a coefficient")
    precondition(lift == nil || topPowers.count >= count - 2, "a power of the mask a coefficient")
    // By power; the mask to the power 0 is 1.
    let masks = [parts[0], parts[0]] + powers
    let tops = lift == nil ? [] : [parts[1]] + topPowers
    precondition((masks + tops).allSatisfy { $0.count == base.count }, "a word an element")
    return unsafe withKernelOperand { x in
      unsafe MaskedWords.withPointers(masks) { masks in
        unsafe MaskedWords.withPointers(tops) { tops in
          unsafe WordArrays.filled(base.count) { out in
            unsafe arrays.kernels.polynomial(
              x, coefficients, count, masks, tops, base.count, factor, out)
          }
        }
      }
    }
  }

  /// Writes shares of the steps of this value at all knots times their bits: [elements, outputs].
  ///
  /// A bit is m + (1 - 2 m) c, m the top bit of its window. Sums over the knots come before products
  /// with what all knots of an element share.
  /// - Parameters:
  ///   - elements: of this value and of `correlated`.
  ///   - windows: of `levels` + 1 bits, [elements, knots].
  ///   - shares: of c - h and of that times each mask part, [elements, knots, 1 + parts].
  ///   - correlated: shares of h and of h times each mask part.
  public func stepSums(
    _ steps: PieceSteps, of elements: Range<Int>, windows: Span<UInt64>, levels: Int,
    shares: Span<UInt64>, correlated: [[UInt64]], factor: UInt64,
    into sums: inout MutableSpan<UInt64>, by arrays: WordArrays = .best
  ) {
    let payload = parts.count + 1
    precondition(elements.lowerBound >= 0 && elements.upperBound <= base.count, "elements of it")
    precondition(windows.count == elements.count * steps.knotCount, "a window a knot")
    precondition(shares.count == windows.count * payload, "`1 + parts` shares a knot")
    precondition(
      correlated.count >= payload
        && correlated[..<payload].allSatisfy { $0.count == base.count }, "shares of each part")
    precondition(sums.count == elements.count * steps.outputCount, "a sum an output")
    guard !elements.isEmpty, steps.knotCount > 0 else { return }
    unsafe steps.withKernelPieces(levels: levels) { pieces in
      unsafe withKernelOperand { y in
        unsafe MaskedWords.withPointers(correlated) { correlated in
          unsafe windows.withUnsafeBufferPointer { windows in
            unsafe shares.withUnsafeBufferPointer { shares in
              unsafe sums.withUnsafeMutableBufferPointer { sums in
                guard let windows = windows.baseAddress, let shares = shares.baseAddress,
                  let sums = sums.baseAddress
                else { return }
                unsafe arrays.kernels.step_sums(
                  pieces, y, correlated, windows, shares, elements.lowerBound, elements.count,
                  factor, sums)
              }
            }
          }
        }
      }
    }
  }

  private func withKernelOperand<R>(_ body: (UnsafePointer<lodge_masked>) -> R) -> R {
    unsafe base.withUnsafeBufferPointer { base in
      unsafe parts[0].withUnsafeBufferPointer { mask in
        guard let lift else {
          var x = unsafe lodge_masked(
            base: base.baseAddress, mask: mask.baseAddress, top: nil, lift: nil)
          return unsafe body(&x)
        }
        return unsafe parts[1].withUnsafeBufferPointer { top in
          unsafe lift.withUnsafeBufferPointer { lift in
            var x = unsafe lodge_masked(
              base: base.baseAddress, mask: mask.baseAddress, top: top.baseAddress,
              lift: lift.baseAddress)
            return unsafe body(&x)
          }
        }
      }
    }
  }

  /// Calls `body` with the addresses of all `arrays`.
  private static func withPointers<R>(
    _ arrays: [[UInt64]], _ body: ([UnsafePointer<UInt64>?]) -> R
  ) -> R {
    var pointers = unsafe [UnsafePointer<UInt64>?](repeating: nil, count: arrays.count)
    return unsafe withPointers(arrays, from: 0, &pointers, body)
  }

  private static func withPointers<R>(
    _ arrays: [[UInt64]], from index: Int, _ pointers: inout [UnsafePointer<UInt64>?],
    _ body: ([UnsafePointer<UInt64>?]) -> R
  ) -> R {
    guard index < arrays.count else { return unsafe body(pointers) }
    return unsafe arrays[index].withUnsafeBufferPointer { buffer in
      unsafe pointers[index] = buffer.baseAddress
      return unsafe withPointers(arrays, from: index + 1, &pointers, body)
    }
  }
}
