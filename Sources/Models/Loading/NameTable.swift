// How the files of one library name and shape the tensors of a family.

/// Which axes of a stored matrix come first.
enum MatrixLayout {
  /// [outputs, inputs], as PyTorch's Linear has it.
  case outputsInputs
  /// [inputs, outputs], as GPT-2's Conv1D has it.
  case inputsOutputs
  /// The input's axes, then the output's, heads and their elements apart, as Keras 3 has it.
  case inputAxesOutputAxes
}

/// Maps the keys that a family's builder states, which are those of Hugging Face's PyTorch models
/// without a prefix, to the keys of a checkpoint.
struct NameTable {
  /// Name of the library, for listings.
  var name: String
  var matrices: MatrixLayout = .outputsInputs
  /// Whether biases of matrices are stored as [1, outputs].
  var biasesAreRows = false
  /// The checkpoint's key of a tensor.
  var storedKey: @Sendable (String) -> String

  /// Keys as the builder states them.
  static let plain = NameTable(name: "PyTorch") { $0 }

  /// Keys after the first of `prefixes` under which the checkpoint holds `key`, else after the
  /// first of all; those that begin with one of `outside`, such as "lm_head", have no prefix.
  static func prefixed(
    _ prefixes: [String], of key: String, in tensorNames: Set<String>,
    matrices: MatrixLayout = .outputsInputs, outside: Set<Substring> = ["lm_head"]
  ) -> NameTable {
    let prefix = Family.prefix(of: key, among: prefixes, in: tensorNames)
    return NameTable(name: "PyTorch", matrices: matrices) {
      outside.contains($0.prefix { $0 != "." }) ? $0 : prefix + $0
    }
  }

  /// What stands before `suffix` in the first tensor name, in order, that ends with it.
  static func root(before suffix: String, in tensorNames: Set<String>) -> String? {
    tensorNames.filter { $0.hasSuffix(suffix) }.min().map { String($0.dropLast(suffix.count)) }
  }
}
