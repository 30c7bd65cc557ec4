// A LoRA adapter of peft, as updates of a checkpoint's tensors.

import Bytes
import Checkpoints

/// An adapter's tensors, each with the tensor of the model that it changes.
struct Adapter {
  /// scale * B A, A [rank, inputs] and B [outputs, rank] being tensors of the adapter; or its
  /// transpose.
  struct Product {
    var a: String
    var b: String
    var rank: Int
    var scale: Float
    var isTransposed: Bool
  }

  /// What is done to a tensor of the model.
  struct Update {
    /// The tensor of the adapter that stands for the model's.
    var whole: String?
    /// What is added.
    var product: Product?
  }

  private static let prefix = "base_model.model."

  let folder: String
  let source: any TensorSource
  private let settings: AdapterSettings

  /// Opens the adapter in `folder`; reads headers only.
  init(folder: String) throws(InputError) {
    let folder = FilePaths.withoutTrailingSlashes(folder)
    let names = AdapterFiles.weightNames.map { "\(folder)/\($0)" }
    guard FilePaths.isFolder(folder) else {
      throw InputError(folder, "is not a folder with an adapter")
    }
    settings = try AdapterSettings(folder: folder)
    guard let path = names.first(where: FilePaths.exists) else {
      throw InputError(
        folder, "holds no adapter: none of \(AdapterFiles.weightNames.joined(separator: ", "))")
    }
    self.folder = folder
    source = try Checkpoint.openTensors(path)
  }

  /// What is to be done to the tensors of `draft`, by their stored names.
  /// - Throws: one `InputError` with every tensor of the adapter that has no place in the model, a
  ///   wrong shape, or a meaning that is not implemented.
  func updates(of draft: ModelDraft) throws(InputError) -> [String: Update] {
    var problems = ProblemList()
    var result: [String: Update] = [:]
    var pairs: [String: (a: TensorDescription?, b: TensorDescription?)] = [:]
    for tensor in source.tensors {
      if !tensor.type.isReadableAsFloat {
        problems.add(tensor.name, ": is of type \(tensor.type.rawValue)")
        continue
      }
      guard tensor.name.hasPrefix(Adapter.prefix) else {
        problems.add(tensor.name, ": does not begin with \"\(Adapter.prefix)\"")
        continue
      }
      let name = String(tensor.name.dropFirst(Adapter.prefix.count))
      if let module = Adapter.module(of: name, "lora_A") {
        pairs[module, default: (nil, nil)].a = tensor
      } else if let module = Adapter.module(of: name, "lora_B") {
        pairs[module, default: (nil, nil)].b = tensor
      } else if name.contains("lora_") {
        problems.add(tensor.name, ": this kind of update is not implemented")
      } else {
        addWhole(tensor, name: name, of: draft, to: &result, &problems)
      }
    }
    for (module, pair) in pairs.sorted(by: { $0.key < $1.key }) {
      addLowRank(module, pair.a, pair.b, of: draft, to: &result, &problems)
    }
    if result.isEmpty, problems.isEmpty { problems.add("holds no updates") }
    try problems.check(source: source.path)
    return result
  }

  /// What to say of modules of the model that the settings list and `updates` leave as they are.
  func notice(_ updates: [String: Update], of draft: ModelDraft) -> String? {
    let keys = Set(draft.built.bindings.values.map(\.key)).filter { $0.hasSuffix(".weight") }
    var parts: [String] = []
    for (name, isWhole) in settings.targets.map({ ($0, false) })
      + settings.savedModules.map({ ($0, true) })
    {
      let listed = keys.filter { key in
        let module = key.dropLast(".weight".count)
        return module == name || module.hasSuffix("." + name)
      }
      let missing = listed.count { updates[draft.names.storedName($0)] == nil }
      guard missing > 0, missing == listed.count || isWhole || !settings.restrictsTargets else {
        continue
      }
      parts.append("\(name) (\(missing) of \(listed.count))")
    }
    guard !parts.isEmpty else { return nil }
    return "\(AdapterFiles.configurationFileName) lists modules that the adapter's file holds "
      + "nothing of: \(parts.joined(separator: ", ")): they stay as they are"
  }

  /// "layers.0.q_proj" of "layers.0.q_proj.lora_A.weight", with the adapter's name before "weight"
  /// or without.
  private static func module(of name: String, _ matrix: String) -> String? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let place = parts.lastIndex(of: Substring(matrix)), parts.last == "weight",
      place > 0, (2...3).contains(parts.count - place)
    else { return nil }
    return parts[..<place].joined(separator: ".")
  }

  /// The binding of the model's tensor `name`, whose model may have been saved with another prefix.
  private func binding(_ name: String, of draft: ModelDraft) -> WeightBinding? {
    let bindings = Dictionary(
      draft.built.bindings.values.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    if let exact = bindings[name] { return exact }
    let others = bindings.filter { $0.key.hasSuffix(".\(name)") || name.hasSuffix(".\($0.key)") }
    return others.count == 1 ? others.first?.value : nil
  }

  private func addLowRank(
    _ module: String, _ a: TensorDescription?, _ b: TensorDescription?, of draft: ModelDraft,
    to result: inout [String: Update], _ problems: inout ProblemList
  ) {
    guard let a, let b else {
      problems.add(module, ": has one of lora_A and lora_B only")
      return
    }
    guard let binding = binding(module + ".weight", of: draft), binding.storedShape.count == 2
    else {
      problems.add(module, ": is no linear layer of the model")
      return
    }
    // An output matrix of its own is a linear layer as any other.
    guard !draft.isTable(binding) || !draft.isTied && draft.isOutput(binding) else {
      problems.add(module, ": updates of a token table are not implemented")
      return
    }
    let (outputs, inputs) =
      binding.isTransposed
      ? (binding.storedShape[1], binding.storedShape[0])
      : (binding.storedShape[0], binding.storedShape[1])
    let rank = a.shape.first ?? 0
    guard a.shape == [rank, inputs], b.shape == [outputs, rank], rank > 0 else {
      problems.add(
        module,
        ": lora_A is \(a.shape) and lora_B \(b.shape), the layer has \(inputs) inputs and "
          + "\(outputs) outputs")
      return
    }
    guard let scale = settings.scale(of: module, rank: rank) else {
      problems.add(module, ": has rank \(rank), the settings say otherwise")
      return
    }
    result[draft.names.storedName(binding.key), default: Update()].product = Product(
      a: a.name, b: b.name, rank: rank, scale: scale, isTransposed: binding.isTransposed)
  }

  /// A tensor of `modules_to_save`, or the base's own output matrix, which is saved where it has an
  /// update.
  private func addWhole(
    _ tensor: TensorDescription, name: String, of draft: ModelDraft,
    to result: inout [String: Update], _ problems: inout ProblemList
  ) {
    let plain = name.replacing(".modules_to_save.default.", with: ".")
      .replacing(".base_layer.", with: ".")
    guard let binding = binding(plain, of: draft) else {
      problems.add(tensor.name, ": is no tensor of the model")
      return
    }
    guard !draft.isTied || !draft.isTable(binding) else {
      problems.add(tensor.name, ": stands for one of two tied matrices, which is not implemented")
      return
    }
    guard tensor.shape == binding.storedShape else {
      problems.add(tensor.name, ": has shape \(tensor.shape), expected \(binding.storedShape)")
      return
    }
    result[draft.names.storedName(binding.key), default: Update()].whole = tensor.name
  }
}
