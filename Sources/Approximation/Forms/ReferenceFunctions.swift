// The exact functions that replacements stand for, in double precision, and bounds of their
// curvature.

import Foundation
public import Models

/// Functions and the bounds that certify errors between the points of a grid.
public enum ReferenceFunctions {
  public static func exponential(_ x: Double) -> Double { exp(x) }

  /// f(a) - a/2 for a >= 0, the even part of GeLU and SiLU; nil for ReLU, which needs
  /// none, and tanh, which has none.
  ///
  /// GeLU: a/2 erf(a / sqrt 2); with tanh: a/2 tanh(sqrt(2/pi) (a + 0.044715 a^3)); SiLU: a/2
  /// tanh(a/2).
  public static func evenPart(_ activation: Activation) -> ((Double) -> Double)? {
    switch activation {
    case .relu, .tanh: nil
    case .gelu: { a in a / 2 * erf(a / 2.0.squareRoot()) }
    case .geluTanh:
      { a in a / 2 * tanh((2 / Double.pi).squareRoot() * (a + 0.044715 * a * a * a)) }
    case .silu: { a in a / 2 * tanh(a / 2) }
    }
  }

  /// A bound of |f''| on all reals: |f''| is largest at 0, where it is 0.798 for both GeLUs
  /// (sqrt(2/pi)) and 0.5 for SiLU, and at 0.66 for tanh, where it is 0.77. ReLU is linear on both
  /// sides of 0.
  public static func curvatureBound(_ activation: Activation) -> Double {
    switch activation {
    case .relu: 0
    case .gelu, .geluTanh, .tanh: 0.8
    case .silu: 0.51
    }
  }
}
