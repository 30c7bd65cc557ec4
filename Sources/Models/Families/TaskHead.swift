// Layers behind an encoder that make it answer one task, such as classifying texts.

/// Tensors of such layers, of those that are not read.
enum TaskHead {
  /// Parts of names, of PyTorch's and of TensorFlow's models.
  private static let parts: Set<Substring> = [
    "cls", "classifier", "pre_classifier", "qa_outputs", "lm_head", "vocab_projector",
    "vocab_transform", "vocab_layer_norm", "discriminator_predictions", "generator_predictions",
    "generator_lm_head", "mlm___cls", "nsp___cls",
  ]

  /// Whether a tensor of this name belongs to one.
  static func contains(_ name: String) -> Bool {
    name.split { $0 == "." || $0 == "/" }.contains(where: parts.contains)
  }

  /// What to say of the tensors `names`, which are not used; nil where there are none.
  static func notice(_ names: [String], output: ModelOutput) -> String? {
    guard !names.isEmpty else { return nil }
    let shown = names.prefix(3).joined(separator: ", ")
    return "\(names.count) \(names.count == 1 ? "tensor" : "tensors") of a task head are not used "
      + "(\(shown)\(names.count > 3 ? ", ..." : "")): the output is \(output.title)"
  }
}
