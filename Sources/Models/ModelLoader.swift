// From a checkpoint to a model graph; everything that does not fit is told in one error.

public import Bytes
public import Checkpoints

public enum ModelLoader {
  /// Opens the checkpoint at `path` and builds its graph; reads headers only.
  ///
  /// - Parameters:
  ///   - path: what `Checkpoint` opens: a folder, a tensor file, or an index of shards.
  ///   - output: what the output is to be. Nil is logits of a decoder; of an encoder what the class
  ///     in `architectures` gives, where the file holds its head, else the last hidden states.
  ///     `.embedding` is what `modules.json` of sentence-transformers states.
  /// - Throws: one `InputError` with every unsupported setting, absent tensor, tensor of a wrong
  ///   shape or type, and tensor that the family does not have.
  public static func load(path: String, output: ModelOutput? = nil) throws(InputError)
    -> LoadedModel
  {
    try load(Checkpoint(path: path), output: output)
  }

  /// Builds the graph of an open checkpoint; throws as `load(path:output:)` does.
  public static func load(_ checkpoint: Checkpoint, output: ModelOutput? = nil) throws(InputError)
    -> LoadedModel
  {
    let family = try family(of: checkpoint)
    var configuration = try Configuration(
      checkpoint.configuration, source: checkpoint.configurationPath)
    let modules =
      output == .embedding ? try SentenceModules(beside: checkpoint.configurationPath) : nil
    let built = family.build(
      &configuration, tensorNames: Set(checkpoint.tensors.map(\.name)), output: output,
      embedding: modules?.head)
    var problems = configuration.problems
    guard var built else {
      throw problems.error(source: checkpoint.source.path)
        ?? InputError(checkpoint.configurationPath, "describes no model")
    }
    check(checkpoint.tensors, against: built, problems: &problems)
    if let error = problems.error(source: checkpoint.source.path) { throw error }
    try modules?.check(built.model)
    if output == nil, built.model.output == .states,
      SentenceModules.exist(beside: checkpoint.configurationPath)
    {
      built.notices.append(SentenceModules.notice)
    }
    return LoadedModel(
      model: built.model, checkpoint: checkpoint,
      unusedKeys: checkpoint.tensors.map(\.name).filter(built.unusedKeys.contains),
      bindings: built.bindings, notices: [checkpoint.notice].compactMap(\.self) + built.notices)
  }

  private static func family(of checkpoint: Checkpoint) throws(InputError) -> Family {
    var reader = try JSONReader(checkpoint.configuration, source: checkpoint.configurationPath)
    let name = try reader.string("model_type")
    guard let family = Family(rawValue: name) else {
      let known = Family.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw reader.failure(
        "model_type", "\(JSON.string(name).text) is not implemented, only \(known) are")
    }
    return family
  }

  private static func check(
    _ tensors: [TensorDescription], against built: BuiltModel, problems: inout ProblemList
  ) {
    let present = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    // Several weights may be parts of one tensor.
    let bindings = Dictionary(
      built.bindings.values.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    for binding in bindings.values.sorted(by: { $0.key < $1.key }) {
      guard let tensor = present[binding.key] else {
        problems.add("\(binding.key) is missing")
        continue
      }
      if tensor.shape != binding.storedShape {
        problems.add("\(tensor.name) has shape \(tensor.shape), expected \(binding.storedShape)")
      }
      if !tensor.type.isReadableAsFloat {
        problems.add(
          "\(tensor.name) is of type \(tensor.type.rawValue), which no weight is read from")
      }
    }
    let known = Set(bindings.keys).union(built.unusedKeys)
    for tensor in tensors where !known.contains(tensor.name) {
      problems.add("\(tensor.name) is not a tensor of this family")
    }
  }
}
