// Which variant of the kernels runs: chosen by processor, forced by tests.

internal import CRingKernels

/// A variant of every kernel, slowest first; all give the same results.
public enum KernelArm: Int, CaseIterable, Comparable, Sendable, CustomStringConvertible {
  case portable
  case avx2
  /// AVX-512 F and DQ; comparison functions also use VAES where the processor has it.
  case avx512
  /// Products on AMX tiles of 8-bit limbs; the rest as `avx512`.
  case amx
  /// The products of `amx` on a model of the tiles in plain C, for tests; the rest as `portable`.
  case amxModel

  /// The arms this processor can run and should; never empty.
  public static let available = allCases.filter {
    $0 != .amxModel && lodge_arm_available($0.number) != 0
  }

  /// The arms that must agree on this processor.
  public static let tested = available + [.amxModel]

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
    case .amx: "amx"
    case .amxModel: "amx model"
    }
  }

  /// The arm's number in C, after checking that this processor can run it.
  var code: CInt {
    precondition(KernelArm.tested.contains(self), "this processor cannot run the \(self) arm")
    return number
  }

  /// The arm's number in C.
  private var number: CInt {
    switch self {
    case .portable: CInt(LODGE_ARM_PORTABLE)
    case .avx2: CInt(LODGE_ARM_AVX2)
    case .avx512: CInt(LODGE_ARM_AVX512)
    case .amx: CInt(LODGE_ARM_AMX)
    case .amxModel: CInt(LODGE_ARM_AMX_MODEL)
    }
  }

  /// The kernels of this arm that are no products.
  var kernels: lodge_kernels { lodge_kernels_of(code) }
}
