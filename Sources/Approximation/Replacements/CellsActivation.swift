// Activations by polynomials on equal cells, which are looked up in one flight.

public import Bytes
import Foundation
import Models
import Synchronization

/// Parabolas on cells of one power of two where the activation bends, and what it nears outside: the
/// error is at most `maximumError`, also of a cell's parabola in the cell before it.
public struct CellsActivation: Replacement {
  public static let name = "cells"
  public static let classes: [OperationClass] = [.gelu, .geluTanh, .silu]
  public static let source = "minimax parabolas on equal cells"

  public var maximumError: Double

  public init(maximumError: Double) { self.maximumError = maximumError }

  /// The parameters of the recipe `accurate`: cells of a quarter for GeLU and for SiLU, which is then
  /// five times as precise.
  public static let accurate = CellsActivation(maximumError: 0x1.2p-11)

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    maximumError = try reader.number(
      "maximumError", default: CellsActivation.accurate.maximumError, in: 0x1p-14...0.25)
  }

  public var parameters: [String: JSON] { ["maximumError": .number(maximumError)] }

  /// More precise forms for inputs near zero and below 2, whose values are small beside the error.
  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    LinesActivation(maximumError: maximumError).precise(for: node) ?? self
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    guard let function = site.operationClass.activation?.function else { return nil }
    let key = Key(operationClass: site.operationClass, maximumError: maximumError)
    if let known = Self.known.withLock({ $0[key] }) { return .activation(known) }
    let cells = cells(function)
    Self.known.withLock { $0[key] = cells }
    return .activation(cells)
  }

  /// All that the cells depend on: nodes share them, and a planner asks more than once for each.
  private struct Key: Hashable {
    var operationClass: OperationClass
    var maximumError: Double
  }
  private static let known = Mutex<[Key: PiecewisePolynomial]>([:])

  private func cells(_ function: (Double) -> Double) -> PiecewisePolynomial {
    // The distance to the line x, and to the line 0, falls from here on.
    var limit = 1.5
    while limit - function(limit) > maximumError { limit += 1.0 / 64 }
    var width = 1.0
    while true {
      // One more to the right: the line x stands for the cell before its own, too.
      let (first, end) = (-Int((limit / width).rounded(.up)), Int((limit / width).rounded(.up)) + 1)
      let pieces = (first..<end).map { cell in
        let low = width * Double(cell - 1)
        let high = width * Double(cell + 1)
        return PolynomialPiece.minimax(degree: 2, on: low...high, centre: low + width, function)
      }
      let error = zip(first..<end, pieces).reduce(0) { error, entry in
        (0...32).reduce(error) {
          let x = width * (Double(entry.0 - 1) + Double($1) / 16)
          return max($0, abs(entry.1(x) - function(x)))
        }
      }
      // Between two points of the grid the third derivative, below 2, adds less.
      if error + pow(width / 32, 3) <= maximumError {
        return PiecewisePolynomial(
          knots: (first...end).map { width * Double($0) },
          pieces: [.line(0, 0)] + pieces + [.line(1, 0)],
          resolution: PiecewisePolynomial.activationResolution)
      }
      width /= 2
    }
  }
}
