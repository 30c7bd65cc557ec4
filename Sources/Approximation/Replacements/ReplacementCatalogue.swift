// All replacements that recipes can name.

import Bytes

public enum ReplacementCatalogue {
  /// A new replacement is one file and one line here.
  public static let all: [any Replacement.Type] = [
    ReLUActivation.self, MinimaxActivation.self, PUMAActivation.self, BumbleBeeActivation.self,
    BOLTActivation.self, QuadActivation.self, PiecewiseActivation.self, FittedActivation.self,
    LinesActivation.self, CellsActivation.self, CheapestActivation.self,
    ExactSoftmax.self, MinimaxSoftmax.self, LimitSoftmax.self, BOLTSoftmax.self,
    TwoQuadSoftmax.self,
    ReLUSoftmax.self, PowerSoftmax.self, PiecewiseSoftmax.self, FittedSoftmax.self,
    ExactNormalisation.self, AffineNormalisation.self,
    PermutedOperation.self,
  ]

  /// Those that can stand for `operationClass`.
  public static func replacements(for operationClass: OperationClass) -> [any Replacement.Type] {
    all.filter { $0.classes.contains(operationClass) }
  }

  /// The replacement called `name` for `operationClass`, or an error of `reader` that lists them.
  static func type(
    _ name: String, for operationClass: OperationClass, _ failure: InputError
  ) throws(InputError) -> any Replacement.Type {
    let candidates = replacements(for: operationClass)
    if let found = candidates.first(where: { $0.name == name }) { return found }
    let names = candidates.map { $0.name }
    var error = failure
    error.cause = "there is no replacement \"\(name)\" for \(operationClass.rawValue)"
    let nearest = nearestName(to: name, among: names).map { "did you mean \"\($0)\"? " } ?? ""
    error.hint = "\(nearest)there are \(names.joined(separator: ", "))"
    throw error
  }
}
