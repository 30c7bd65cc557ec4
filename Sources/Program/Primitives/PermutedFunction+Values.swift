// Results of permuted functions: a fixed sequence of IEEE operations, whatever the order of elements.

extension PermutedFunction {
  /// The results for the numbers of one run, or for single elements, in their order.
  ///
  /// `words` hold numbers modulo 2^opening.bits with `inputBits` fractional bits. The result of an
  /// element depends on its number and on the multiset of the run alone: sums are of integers.
  public func results(_ words: ArraySlice<UInt64>, inputBits: Int) -> [UInt64] {
    let unused = UInt64(64 - opening.bits)
    let numbers = words.map { Int64(bitPattern: $0 &<< unused) &>> Int64(unused) }
    let unit = powerOfTwo(-inputBits)
    switch rule {
    case .relu: return numbers.map { word(Double(max($0, 0)) * unit) }
    case .gelu: return numbers.map { word(ExactMath.gelu(Double($0) * unit)) }
    case .geluTanh: return numbers.map { word(ExactMath.geluTanh(Double($0) * unit)) }
    case .silu: return numbers.map { word(ExactMath.silu(Double($0) * unit)) }
    case .tanh: return numbers.map { word(ExactMath.tanh(Double($0) * unit)) }
    case .sigmoid: return numbers.map { word(ExactMath.sigmoid(Double($0) * unit)) }
    case .exponential:
      return numbers.map { isAbsent($0) ? 0 : word(ExactMath.exp(Double($0) * unit)) }
    case .softmax: return softmax(numbers, unit: unit)
    case .layerNorm(let epsilon): return normalised(numbers, unit: unit, epsilon, isCentred: true)
    case .rmsNorm(let epsilon): return normalised(numbers, unit: unit, epsilon, isCentred: false)
    }
  }

  /// The results for all elements of a value, permuted or not.
  public func results(_ words: [UInt64], in ranges: [PermutedRange], inputBits: Int) -> [UInt64] {
    guard rule.takesRuns else { return results(words[...], inputBits: inputBits) }
    var results: [UInt64] = []
    results.reserveCapacity(words.count)
    for range in ranges { results += self.results(words[range.elements], inputBits: inputBits) }
    return results
  }

  /// Exponentials are integers in units of 2^-38: 2^24 of them fit a word.
  private static let exponentialBits = 38

  private func softmax(_ numbers: [Int64], unit: Double) -> [UInt64] {
    guard let largest = numbers.max() else { return [] }
    let scale = powerOfTwo(PermutedFunction.exponentialBits)
    let exponentials = numbers.map { number -> Int64 in
      guard !isAbsent(number) else { return 0 }
      // Exact: the difference of two numbers of at most 62 bits.
      return Int64(
        (ExactMath.exp(Double(number - largest) * unit) * scale).rounded(.toNearestOrEven))
    }
    let sum = Double(exponentials.reduce(0, +))
    guard sum > 0 else { return numbers.map { _ in 0 } }
    return exponentials.map { word(Double($0) / sum) }
  }

  private func normalised(
    _ numbers: [Int64], unit: Double, _ epsilon: Double, isCentred: Bool
  ) -> [UInt64] {
    let count = Int64(numbers.count)
    let sum = isCentred ? numbers.reduce(0, +) : 0
    let squares = numbers.reduce(Int128(0)) { $0 + Int128($1) * Int128($1) }
    // count^2 times the variance, or count times the mean square, in units of squares of numbers.
    let total =
      isCentred ? UInt128(Int128(count) * squares - Int128(sum) * Int128(sum)) : UInt128(squares)
    let size = Double(count)
    let divisor = isCentred ? size * size : size
    let wide =
      Double(UInt64(truncatingIfNeeded: total >> 64)) * 0x1p64
      + Double(UInt64(truncatingIfNeeded: total))
    let root = (wide / divisor * unit * unit + epsilon).squareRoot()
    let factor = isCentred ? unit / (size * root) : unit / root
    return numbers.map { number in
      word(Double(isCentred ? count * number - sum : number) * factor)
    }
  }

  private func isAbsent(_ number: Int64) -> Bool {
    number == Int64.min &>> Int64(64 - opening.bits)
  }

  /// `value` rounded to `fractionalBits`, ties to even, and cut to `resultBits`.
  private func word(_ value: Double) -> UInt64 {
    let scaled = (value * powerOfTwo(fractionalBits)).rounded(.toNearestOrEven)
    let end = powerOfTwo(resultBits - 1)
    let largest = Int64.max &>> Int64(64 - resultBits)
    if scaled >= end { return UInt64(bitPattern: largest) }
    if scaled <= -end { return UInt64(bitPattern: -largest) }
    return UInt64(bitPattern: Int64(scaled))
  }

  private func powerOfTwo(_ exponent: Int) -> Double { ExactMath.powerOfTwo(exponent) }
}

/// Functions of doubles by +, -, *, / and roundings to integers alone: the same bits everywhere.
///
/// None of them is contracted to fused operations, which Swift does only where it is told to.
public enum ExactMath {
  /// 2^exponent, for exponents that doubles have.
  static func powerOfTwo(_ exponent: Int) -> Double {
    Double(sign: .plus, exponent: exponent, significand: 1)
  }

  /// e^x: x less a multiple of ln 2, in two parts, by 14 terms of the series; from x = 709 on e^709,
  /// below -708 zero. Relative error below 2^-51.
  public static func exp(_ x: Double) -> Double {
    guard x >= -708 else { return 0 }
    let x = min(x, 709)
    let power = (x * 0x1.71547652b82fep+0).rounded(.toNearestOrEven)
    let rest = x - power * 0x1.62e42feep-1 - power * 0x1.a39ef35793c76p-33
    var sum = exponentialTerms[13]
    for term in (0..<13).reversed() { sum = sum * rest + exponentialTerms[term] }
    return sum * powerOfTwo(Int(power))
  }

  /// 1 / k!; the factorials are exact.
  private static let exponentialTerms: [Double] = {
    var factorial = 1.0
    return (0...13).map { index in
      if index > 0 { factorial *= Double(index) }
      return 1 / factorial
    }
  }()

  /// 1 / (1 + e^-x), to 2^-51.
  public static func sigmoid(_ x: Double) -> Double {
    let power = exp(-abs(x))
    return x < 0 ? power / (1 + power) : 1 / (1 + power)
  }

  /// Absolute error below 2^-51.
  public static func tanh(_ x: Double) -> Double {
    let power = exp(-2 * abs(x))
    let size = (1 - power) / (1 + power)
    return x < 0 ? -size : size
  }

  public static func silu(_ x: Double) -> Double { x * sigmoid(x) }

  /// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
  public static func geluTanh(_ x: Double) -> Double {
    x * sigmoid(0x1.9884533d43651p+0 * (x + 0.044715 * (x * x * x)))
  }

  /// x / 2 (1 + erf(x / sqrt(2))); the absolute error is below 2^-49 times |x|.
  public static func gelu(_ x: Double) -> Double {
    x * (0.5 * (1 + erf(x * 0x1.6a09e667f3bcdp-1)))
  }

  /// The error function by its Taylor series about the nearest of places a quarter apart, which
  /// follows from y'' = -2 x y'; from 6 on 1. Absolute error below 2^-49.
  public static func erf(_ x: Double) -> Double {
    let size = abs(x)
    guard size < 6 else { return x < 0 ? -1 : 1 }
    let place = Int((size * 4).rounded(.toNearestOrEven))
    let distance = size - Double(place) * 0.25
    let terms = errorTerms[place]
    var sum = terms[14]
    for term in (0..<14).reversed() { sum = sum * distance + terms[term] }
    return x < 0 ? -sum : sum
  }

  private static let errorTerms: [[Double]] = (0...24).map { place in
    let x = Double(place) * 0.25
    let slope = 0x1.20dd750429b6dp+0 * exp(-(x * x))
    // erf x = slope (x + 2 x^3 / 3 + 4 x^5 / 15 + ...), all terms of one sign.
    var (term, sum) = (x, x)
    for index in 1...200 {
      term = term * (2 * (x * x)) / Double(2 * index + 1)
      sum += term
    }
    var terms = [slope * sum, slope]
    for index in 0..<13 {
      let n = Double(index)
      terms.append(
        -2 * (x * ((n + 1) * terms[index + 1]) + n * terms[index]) / ((n + 1) * (n + 2)))
    }
    return terms
  }
}
