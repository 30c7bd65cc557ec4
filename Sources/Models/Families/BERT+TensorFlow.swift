// Names of BERT's tensors in files of TensorFlow's models (tf_model.h5).

extension BERT {
  private static let tensorFlowTable = "embeddings/word_embeddings/weight:0"

  /// Keys after the module path under which the file holds the model; nil where it is of PyTorch.
  static func tensorFlowNames(of tensorNames: Set<String>) -> NameTable? {
    guard let root = NameTable.root(before: tensorFlowTable, in: tensorNames) else { return nil }
    return NameTable(name: "TensorFlow", matrices: .inputsOutputs) {
      root + tensorFlowKey($0, root: root, tensorNames: tensorNames)
    }
  }

  /// "encoder.layer.0.output.LayerNorm.weight" as "encoder/layer_._0/output/LayerNorm/gamma:0".
  private static func tensorFlowKey(_ key: String, root: String, tensorNames: Set<String>)
    -> String
  {
    var parts = key.split(separator: ".").map(String.init)
    if let layer = parts.firstIndex(of: "layer"), layer + 1 < parts.count {
      parts.replaceSubrange(layer...layer + 1, with: ["layer_._\(parts[layer + 1])"])
    }
    let (stem, kind) = (parts.dropLast().last ?? "", parts.last ?? "")
    switch stem {
    case "LayerNorm": parts[parts.count - 1] = kind == "weight" ? "gamma" : "beta"
    case "word_embeddings": break
    case "position_embeddings", "token_type_embeddings":
      // Keras's own name, or, in files of old, that of PyTorch.
      let other = parts.dropLast().joined(separator: "/") + "/embeddings:0"
      if tensorNames.contains(root + other) { return other }
    default: if kind == "weight" { parts[parts.count - 1] = "kernel" }
    }
    return parts.joined(separator: "/") + ":0"
  }
}
