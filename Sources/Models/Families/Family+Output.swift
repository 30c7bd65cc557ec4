// Which output a checkpoint's graph has: that of its own class, or what the user asks for.

import Bytes
import Checkpoints

/// What the user asks for instead of what the checkpoint says.
struct OutputRequest {
  /// Nil leaves the choice to the checkpoint.
  var output: ModelOutput?
  /// The head of output `.embedding`.
  var embedding: HeadDescription?
}

extension Family {
  /// Nil after collecting why the settings describe no model.
  ///
  /// The output of an encoder is what the class in `architectures` gives, where the file holds a
  /// tensor of that head, else the last hidden states.
  func build(
    _ configuration: inout Configuration, tensorNames: Set<String>,
    _ request: OutputRequest = OutputRequest()
  ) -> BuiltModel? {
    let output = request.output
    configuration.requireAbsent("quantization_config")
    configuration.output = output ?? configuration.architecture.flatMap { .init(architecture: $0) }
    guard var description = describe(&configuration, tensorNames: tensorNames) else { return nil }
    if description.kind.isDecoder { configuration.refuseTaskOfDecoder(tensorNames) }
    if let embedding = request.embedding { description.heads.append(embedding) }
    if let output, output != description.head.output {
      return description.build(output, &configuration)
    }
    guard description.kind == .encoder, output == nil, let name = configuration.architecture else {
      return description.build(with: description.head)
    }
    return description.build(named: name, tensorNames: tensorNames)
  }
}

extension TransformerDescription {
  /// With the head of its family that has `output`; nil after collecting that there is none.
  fileprivate func build(_ output: ModelOutput, _ configuration: inout Configuration)
    -> BuiltModel?
  {
    guard let head = heads.first(where: { $0.output == output }) else {
      // Where its settings are wrong, that is told already.
      if configuration.problems.isEmpty {
        let others = ([self.head] + heads).map { "\"\($0.output.rawValue)\"" }
        configuration.fail(
          "model_type",
          "\"\(family.rawValue)\" has no output \"\(output.rawValue)\", only "
            + others.joined(separator: ", "))
      }
      return nil
    }
    return build(with: head)
  }

  /// As the class `name` of the library is.
  fileprivate func build(named name: String, tensorNames: Set<String>) -> BuiltModel {
    guard let output = ModelOutput(architecture: name) else {
      return build(with: head, "\(name) is not implemented: the output is \(head.output.title)")
    }
    guard output != head.output, let chosen = heads.first(where: { $0.output == output }) else {
      return build(with: head)
    }
    guard keys(of: chosen).contains(where: tensorNames.contains) else {
      return build(
        with: head, "no head of \(name) was found: the output is \(head.output.title)")
    }
    return build(with: chosen)
  }

  /// Heads of the family that are not `chosen` may be there and are not used.
  fileprivate func build(with chosen: HeadDescription, _ notice: String? = nil) -> BuiltModel {
    var description = self
    description.head = chosen
    var built = description.build()
    built.headKeys = Set(heads.flatMap(keys)).subtracting(built.keys)
    if let notice {
      built.notices.append("\(Checkpoint.configurationFileName) architectures: \(notice)")
    }
    return built
  }

  /// Stored keys of the tensors that only `other` has.
  private func keys(of other: HeadDescription) -> Set<String> {
    var description = self
    description.head = other
    let plain = build()
    return description.build().keys.subtracting(plain.keys).subtracting(plain.unusedKeys)
  }
}

extension Configuration {
  /// Collects a fault where a decoder's file holds the head of a class that gives something else
  /// than scores of the next token.
  fileprivate mutating func refuseTaskOfDecoder(_ tensorNames: Set<String>) {
    let tasks = ["ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"]
    let heads: Set<Substring> = ["score", "classifier", "qa_outputs"]
    guard let name = architecture, tasks.contains(where: name.hasSuffix),
      tensorNames.contains(where: { heads.contains($0.prefix { $0 != "." }) })
    else { return }
    fail(
      "architectures",
      "\"\(name)\" is not implemented: of decoders only scores of the next token are, and the row "
        + "of the last position would have to be pooled")
  }
}
