// The families of models that are read, and what a builder hands to the loader.

import Bytes

/// What a family's builder makes of a configuration and the tensor names.
struct BuiltModel {
  var model: Model
  /// By the weight's name in the graph.
  var bindings: [String: WeightBinding]
  /// Checkpoint keys that the family is known to have and inference does not use.
  var unusedKeys: Set<String>
}

/// Builders by `model_type`; a builder returns nil where the configuration leaves no graph to
/// build, and then has collected why.
enum Family: String, CaseIterable {
  case opt
  case bert

  func build(_ configuration: inout Configuration, tensorNames: Set<String>) -> BuiltModel? {
    switch self {
    case .opt: OPT.build(&configuration, tensorNames: tensorNames)
    case .bert: BERT.build(&configuration, tensorNames: tensorNames)
    }
  }

  /// The first prefix under which the checkpoint holds `key`, else the first of all.
  static func prefix(of key: String, among prefixes: [String], in tensorNames: Set<String>)
    -> String
  {
    prefixes.first { tensorNames.contains($0 + key) } ?? prefixes.first ?? ""
  }
}

/// Largest sizes a configuration may ask for, far above those of any trained model.
enum Limits {
  static let width = 1...(1 << 20)
  static let layerCount = 1...4096
  static let vocabulary = 1...(1 << 24)
  static let positions = 1...(1 << 24)
}
