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
  ///   - gates: file of gates of feed-forward layers; nil is the one beside config.json, if any.
  ///   - output: what the output is to be. Nil is logits of a decoder; of an encoder what the class
  ///     in `architectures` gives, where the file holds its head, else the last hidden states.
  ///     `.embedding` is what `modules.json` of sentence-transformers states.
  /// - Throws: one `InputError` with every unsupported setting, absent tensor, tensor of a wrong
  ///   shape or type, and tensor that the family does not have; or one with all that is wrong with
  ///   the adapter.
  public static func load(
    path: String, adapter: String? = nil, gates: String? = nil, output: ModelOutput? = nil
  ) throws(InputError) -> LoadedModel {
    try load(
      Checkpoint(path: path, adapter: adapter), adapter: adapter, gates: gates, output: output)
  }

  /// Builds the graph of an open checkpoint; throws as `load(path:adapter:gates:output:)` does.
  public static func load(
    _ checkpoint: Checkpoint, adapter: String? = nil, gates: String? = nil,
    output: ModelOutput? = nil
  ) throws(InputError) -> LoadedModel {
    try Quantisation.check(checkpoint)
    let modules =
      output == .embedding ? try SentenceModules(checkpoint) : nil
    var draft = try ModelDraft(
      checkpoint, family: family(of: checkpoint),
      request: OutputRequest(output: output, embedding: modules?.head))
    try draft.takeVocabulary()
    try draft.takeOutput()
    var problems = draft.problems
    var built = draft.built
    let strays = check(checkpoint.tensors, against: draft, problems: &problems)
    // Where all that is wrong are settings, the file is that of the settings.
    let file = problems == draft.problems ? checkpoint.configurationPath : checkpoint.source.path
    try problems.check(source: file)
    var checkpoint = checkpoint
    if let adapter = try adapter.map({ (path) throws(InputError) in try Adapter(folder: path) }) {
      let updates = try adapter.updates(of: draft)
      checkpoint.source = AdaptedSource(
        original: checkpoint.source, adapter: adapter.source, updates: updates)
      draft.note(
        "the adapter in \(adapter.folder) is merged into "
          + Quantity.count(updates.count, "tensor"))
      if let notice = adapter.notice(updates, of: draft) { draft.note(notice) }
    }
    let besides =
      "\(FilePaths.folder(of: checkpoint.configurationPath))/\(Checkpoint.gatesFileName)"
    if let path = gates ?? (FilePaths.exists(besides) ? besides : nil) {
      let file = try GateFile(path: path)
      built = try file.applied(to: built)
      checkpoint.source = GatedSource(original: checkpoint.source, gates: file.source)
      draft.note(file.notice)
    }
    try modules?.check(built.model)
    let bindings = built.bindings.mapValues { $0.renamed(draft.names.storedName) }
    let used = Set(built.keys.map(draft.names.storedName))
    func present(_ keys: Set<String>) -> [String] {
      let stored = Set(keys.map(draft.names.storedName)).subtracting(used)
      return checkpoint.tensors.map(\.name).filter(stored.contains)
    }
    let heads = present(built.headKeys.union(strays))
    var notices = checkpoint.notices + draft.notices + built.notices
    if let notice = TaskHead.notice(heads, output: built.model.output) { notices.append(notice) }
    if output == nil, built.model.output == .states,
      let notice = SentenceModules.notice(for: checkpoint)
    {
      notices.append(notice)
    }
    var model = built.model
    model.padToken = padToken(of: model, checkpoint.configuration)
    return LoadedModel(
      model: model, checkpoint: checkpoint,
      unusedKeys: present(built.unusedKeys.union(built.headKeys).union(strays)),
      bindings: bindings, notices: notices)
  }

  /// `pad_token_id` of an encoder, or what its positions count as such, unless the same token ends
  /// a text or a sentence.
  private static func padToken(of model: Model, _ configuration: JSON) -> Int? {
    guard model.kind == .encoder, case .object(let members) = configuration else { return nil }
    var stated: Int?
    if case .integer(let token)? = members["pad_token_id"] { stated = token }
    guard let token = model.uncountedToken ?? stated, (0..<model.vocabularySize).contains(token),
      !["eos_token_id", "sep_token_id"].contains(where: { members[$0] == .integer(token) })
    else { return nil }
    return token
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
    let expected = Dictionary(
      built.bindings.values.flatMap(\.tensors), uniquingKeysWith: { first, _ in first })
    for (key, shape) in expected.sorted(by: { $0.key < $1.key }) {
      guard let tensor = present[draft.names.storedName(key)] else {
        problems.add(key, " is missing")
        continue
      }
      if tensor.shape != shape, !draft.explained.contains(tensor.name) {
        problems.add(
          tensor.name, " has shape \(tensor.shape), expected \(shape)")
      }
      if !tensor.type.isReadableAsFloat {
        problems.add(
          tensor.name, " is of type \(tensor.type.rawValue), which no weight is read from")
      }
    }
    let known = Set(
      built.keys.union(built.unusedKeys).union(built.headKeys).map(draft.names.storedName))
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
