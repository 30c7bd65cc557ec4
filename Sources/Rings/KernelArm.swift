// Which variant of the kernels runs: chosen by processor, forced by tests.

internal import CRingKernels

/// A variant of every kernel, slowest first; all give the same results.
public enum KernelArm: Int, CaseIterable, Comparable, Sendable, CustomStringConvertible {
  case portable
  case avx2
  /// AVX-512 F and DQ; comparison functions also use VAES where the processor has it.
  case avx512

  /// The arms this processor can run; never empty.
  public static let available = allCases.filter { lodge_arm_available($0.code) != 0 }

  /// The fastest arm this processor can run.
  public static let best = available.last ?? .portable

  public static func < (left: KernelArm, right: KernelArm) -> Bool {
    left.rawValue < right.rawValue
  }

  public var description: String {
    switch self {
    case .portable: "portable"
    case .avx2: "avx2"
    case .avx512: "avx512"
    }
  }

  /// The arm's number in C.
  private var code: CInt {
    switch self {
    case .portable: CInt(LODGE_ARM_PORTABLE)
    case .avx2: CInt(LODGE_ARM_AVX2)
    case .avx512: CInt(LODGE_ARM_AVX512)
    }
  }

  /// The kernels of this arm, after checking that this processor can run them.
  var kernels: lodge_kernels {
    precondition(KernelArm.available.contains(self), "this processor cannot run the \(self) arm")
    return lodge_kernels_of(code)
  }
}
