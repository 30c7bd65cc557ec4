// Activations by whatever is cheapest at their node.

public import Bytes
import Models

/// GeLU and SiLU by cells, by lines or by the polynomial of `minimax`, whichever costs least where it
/// stands: cells and lines take one flight, a polynomial takes less time where very many rows are
/// computed at once.
public struct CheapestActivation: Replacement {
  public static let name = "cheapest"
  public static let classes: [OperationClass] = [.gelu, .geluTanh, .silu]
  public static let source = "of `cells`, `lines` and `minimax` the cheapest"

  /// Of cells and of lines.
  public var maximumError: Double

  public init(maximumError: Double) { self.maximumError = maximumError }

  /// The parameters of the recipe `accurate`.
  public static let accurate = CheapestActivation(
    maximumError: CellsActivation.accurate.maximumError)

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    maximumError = try reader.number(
      "maximumError", default: CheapestActivation.accurate.maximumError, in: 0x1p-14...0.25)
  }

  public var parameters: [String: JSON] { ["maximumError": .number(maximumError)] }

  /// Cells, where nothing is known of the node.
  public func form(at site: ReplacementSite) -> ReplacementForm? {
    CellsActivation(maximumError: maximumError).form(at: site)
  }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    let lines = LinesActivation(maximumError: maximumError)
    if let precise = lines.precise(for: node) { return precise }
    var best: (replacement: any Replacement, cost: Double)?
    let candidates: [any Replacement] = [
      CellsActivation(maximumError: maximumError), lines,
      MinimaxActivation.standard(for: node.site.operationClass),
    ]
    for candidate in candidates {
      guard let form = candidate.form(at: node.site) else { continue }
      let cost = try node.cost(form)
      if best.map({ cost < $0.cost }) ?? true { best = (candidate, cost) }
    }
    return best?.replacement ?? lines
  }
}
