// From a checkpoint to a model graph; everything that does not fit is told in one error.

public import Bytes
public import Checkpoints

public enum ModelLoader {
  /// Opens the checkpoint at `path` and builds its graph; reads headers only, and token table and
  /// output matrix where a file holds both although its model ties them.
  ///
  /// - Parameters:
  ///   - path: what `Checkpoint` opens: a folder, a tensor file, or an index of shards.
  ///   - adapter: folder of a LoRA adapter that is merged into the weights.
  /// - Throws: one `InputError` with every unsupported setting, absent tensor, tensor of a wrong
  ///   shape or type, and tensor that the family does not have; or one with all that is wrong with
  ///   the adapter.
  public static func load(
    path: String, adapter: String? = nil, head: HeadRequest = .automatic
  ) throws(InputError) -> LoadedModel {
    try load(Checkpoint(path: path, adapter: adapter), adapter: adapter, head: head)
  }

  /// Builds the graph of an open checkpoint; throws as `load(path:)` does.
  public static func load(
    _ checkpoint: Checkpoint, adapter: String? = nil, head: HeadRequest = .automatic
  ) throws(InputError) -> LoadedModel {
    try Quantisation.check(checkpoint)
    let head = try HeadChoice(head, folder: FilePaths.folder(of: checkpoint.configurationPath))
    var draft = try ModelDraft(checkpoint, family: family(of: checkpoint), head: head)
    try draft.takeVocabulary()
    try draft.takeOutput()
    var problems = draft.problems
    let built = draft.built
    let heads = check(checkpoint.tensors, against: draft, problems: &problems)
    if let error = problems.error(source: checkpoint.source.path) { throw error }
    var checkpoint = checkpoint
    if let adapter = try adapter.map({ (path) throws(InputError) in try Adapter(folder: path) }) {
      let updates = try adapter.updates(of: draft)
      checkpoint.source = AdaptedSource(
        original: checkpoint.source, adapter: adapter.source, updates: updates)
      draft.note("the adapter in \(adapter.folder) is merged into \(updates.count) tensors")
    }
    let bindings = built.bindings.mapValues { binding in
      var binding = binding
      binding.key = draft.names.storedName(binding.key)
      return binding
    }
    let unused = Set(built.unusedKeys.map(draft.names.storedName)).union(heads)
      .subtracting(bindings.values.map(\.key))
    return LoadedModel(
      model: built.model, checkpoint: checkpoint,
      unusedKeys: checkpoint.tensors.map(\.name).filter(unused.contains), bindings: bindings,
      notices: checkpoint.notices + draft.notices + [TaskHead.notice(heads)].compactMap { $0 })
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

  /// Collects what does not fit; returns the tensors of a task head, which may be there.
  private static func check(
    _ tensors: [TensorDescription], against draft: ModelDraft, problems: inout ProblemList
  ) -> [String] {
    let built = draft.built
    let present = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    // Several weights may be parts of one tensor.
    let bindings = Dictionary(
      built.bindings.values.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    for binding in bindings.values.sorted(by: { $0.key < $1.key }) {
      guard let tensor = present[draft.names.storedName(binding.key)] else {
        problems.add(binding.key, " is missing")
        continue
      }
      if tensor.shape != binding.storedShape, !draft.explained.contains(tensor.name) {
        problems.add(
          tensor.name, " has shape \(tensor.shape), expected \(binding.storedShape)")
      }
      if !tensor.type.isReadableAsFloat {
        problems.add(
          tensor.name, " is of type \(tensor.type.rawValue), which no weight is read from")
      }
    }
    let known = Set(Set(bindings.keys).union(built.unusedKeys).map(draft.names.storedName))
    var heads: [String] = []
    for tensor in tensors where !known.contains(tensor.name) {
      if built.model.kind == .encoder, TaskHead.contains(tensor.name) {
        heads.append(tensor.name)
      } else {
        problems.add(tensor.name, " is not a tensor of this family")
      }
    }
    return heads
  }
}
