// A graph in the making: settings and names of a checkpoint, put right by what its tensors are.

import Bytes
import Checkpoints

/// What a family builds of a checkpoint's settings and names.
struct ModelDraft {
  private static let vocabularyKey = "vocab_size"
  private static let tieKey = "tie_word_embeddings"
  /// Elements of two matrices that are compared at a time.
  private static let comparedElementCount = 1 << 20

  private let checkpoint: Checkpoint
  private let family: Family
  private let request: OutputRequest
  let names: TensorNames
  private(set) var built: BuiltModel
  private(set) var problems: ProblemList
  private(set) var notices: [String]
  /// Stored names of tensors whose shapes a problem tells already.
  private(set) var explained: Set<String> = []
  /// Settings that stand for those of config.json.
  private var changes: [String: JSON] = [:]

  /// Builds under the names that fit the family best.
  /// - Throws: one `InputError` with all settings where they leave no graph to build.
  init(
    _ checkpoint: Checkpoint, family: Family, request: OutputRequest = OutputRequest()
  ) throws(InputError) {
    var best: (names: TensorNames, built: BuiltModel, problems: ProblemList, missing: Int)?
    for names in TensorNames.candidates(of: checkpoint.source) {
      let (built, problems) = try ModelDraft.build(
        family, checkpoint, names: names, request: request)
      guard let built else {
        throw problems.error(source: checkpoint.configurationPath)
          ?? InputError(checkpoint.configurationPath, "describes no model")
      }
      let present = names.names
      let missing = built.keys.subtracting(present).count
      if missing < best?.missing ?? Int.max { best = (names, built, problems, missing) }
      if missing == 0 { break }
    }
    guard let best else { throw InputError(checkpoint.source.path, "describes no model") }
    self.checkpoint = checkpoint
    self.family = family
    self.request = request
    names = best.names
    built = best.built
    problems = best.problems
    notices = [best.names.notice, ModelDraft.codeNotice(checkpoint, family)].compactMap { $0 }
  }

  /// What to say of a checkpoint that names code of its own; ChatGLM is read as its code has it.
  private static func codeNotice(_ checkpoint: Checkpoint, _ family: Family) -> String? {
    guard family != .chatglm, case .object(let members) = checkpoint.configuration,
      case .object(let classes)? = members["auto_map"], !classes.isEmpty
    else { return nil }
    return "\(Checkpoint.configurationFileName) auto_map names code of the model's own, which is "
      + "not run: it is read as any \(family.rawValue)"
  }

  private static func build(
    _ family: Family, _ checkpoint: Checkpoint, names: TensorNames, request: OutputRequest,
    changes: [String: JSON] = [:]
  ) throws(InputError) -> (BuiltModel?, ProblemList) {
    var settings = checkpoint.configuration
    if case .object(let members) = settings {
      settings = .object(members.merging(changes, uniquingKeysWith: { $1 }))
    }
    var configuration = try Configuration(
      settings, source: checkpoint.configurationPath, isOfGGUF: checkpoint.isOfGGUF)
    var built = family.build(&configuration, tensorNames: names.names, request)
    built?.notices += configuration.notices
    return (built, configuration.problems)
  }

  /// The graph under another setting; nil where there is none, or with problems of its own.
  private func rebuilt(_ key: String, _ value: JSON) throws(InputError) -> BuiltModel? {
    var all = changes
    all[key] = value
    let (other, found) = try ModelDraft.build(
      family, checkpoint, names: names, request: request, changes: all)
    return problems.isEmpty == found.isEmpty ? other : nil
  }

  private func tensor(_ binding: WeightBinding) -> TensorDescription? {
    try? checkpoint.source.tensor(names.storedName(binding.key))
  }

  mutating func note(_ text: String) { notices.append(text) }

  /// Whether tokens are looked up in the tensor of `binding`, or it makes the logits.
  func isTable(_ binding: WeightBinding) -> Bool {
    isOutput(binding) || built.tokenTable.map { built.bindings[$0]?.key } == binding.key
  }

  /// Whether the tensor of `binding` makes the logits.
  func isOutput(_ binding: WeightBinding) -> Bool {
    built.bindings[GraphBuilder.outputWeight]?.key == binding.key
  }

  /// Whether one matrix does both.
  var isTied: Bool { built.isTied }

  /// Takes as many tokens as the token table has rows, where `vocab_size` says otherwise.
  ///
  /// The output matrix must have as many; else the problem names both.
  mutating func takeVocabulary() throws(InputError) {
    guard let table = built.tokenTable.flatMap({ built.bindings[$0] }), let stored = tensor(table),
      stored.shape.count == 2, table.storedShape.count == 2, !table.isTransposed,
      stored.shape[1] == table.storedShape[1], stored.shape[0] != table.storedShape[0],
      Limits.vocabulary.contains(stored.shape[0]),
      let other = try rebuilt(ModelDraft.vocabularyKey, .integer(stored.shape[0]))
    else { return }
    let (rows, stated) = (stored.shape[0], built.model.vocabularySize)
    let outputs = other.bindings.filter { $0.value.shape == [rows, stored.shape[1]] }
    for output in outputs.values.sorted(by: { $0.key < $1.key }) {
      guard let matrix = tensor(output), matrix.shape != output.storedShape,
        matrix.shape.count == output.storedShape.count
      else { continue }
      problems.add(
        "\(stored.name) has shape \(stored.shape), \(matrix.name) \(matrix.shape), and "
          + "\(Checkpoint.configurationFileName) \(ModelDraft.vocabularyKey) is \(stated)")
      explained.formUnion([stored.name, matrix.name])
    }
    guard explained.isEmpty else { return }
    changes[ModelDraft.vocabularyKey] = .integer(rows)
    built = other
    notices.append(
      "\(Checkpoint.configurationFileName) \(ModelDraft.vocabularyKey) is \(stated), "
        + "\(stored.name) has \(rows) rows: these are the vocabulary")
  }

  /// Takes the output matrix that a tied model's file holds, where it is another than the token
  /// table, and where it is the only one of the two.
  mutating func takeOutput() throws(InputError) {
    guard built.isTied, let tableName = built.tokenTable, var table = built.bindings[tableName],
      let own = try rebuilt(ModelDraft.tieKey, false), !own.isTied,
      let output = own.bindings[GraphBuilder.outputWeight], let matrix = tensor(output)
    else { return }
    guard let stored = tensor(table) else {
      for name in [tableName, GraphBuilder.outputWeight] {
        built.bindings[name]?.key = output.key
        built.bindings[name]?.storedShape = output.storedShape
        built.bindings[name]?.isTransposed = output.isTransposed
      }
      built.unusedKeys.remove(output.key)
      built.headKeys.remove(output.key)
      return
    }
    // Tokens may be scaled, scores are not.
    table.factor = 1
    guard try !areEqual(table, stored, output, matrix) else { return }
    changes[ModelDraft.tieKey] = false
    built = own
    notices.append(
      "\(matrix.name) differs from \(stored.name), which "
        + "\(Checkpoint.configurationFileName) says it is tied to: it is used")
  }

  /// Whether two matrices are the same numbers; those that cannot be read are not.
  private func areEqual(
    _ table: WeightBinding, _ stored: TensorDescription, _ output: WeightBinding,
    _ matrix: TensorDescription
  ) throws(InputError) -> Bool {
    guard stored.name != matrix.name else { return true }
    guard stored.shape == table.storedShape, matrix.shape == output.storedShape,
      stored.type.isReadableAsFloat, matrix.type.isReadableAsFloat
    else { return false }
    let source = checkpoint.source
    let count = table.elementCount
    for first in stride(from: 0, to: count, by: ModelDraft.comparedElementCount) {
      let part = first..<min(first + ModelDraft.comparedElementCount, count)
      let left = try table.floats(in: part) { (_, range) throws(InputError) in
        try source.floats(stored.name, in: range)
      }
      let right = try output.floats(in: part) { (_, range) throws(InputError) in
        try source.floats(matrix.name, in: range)
      }
      if left != right { return false }
    }
    return true
  }
}

extension BuiltModel {
  /// The weight that tokens are looked up in.
  var tokenTable: String? {
    for node in model.nodes {
      if case .embed(let tokens, _, _, _) = node.operation { return tokens }
    }
    return nil
  }
}
