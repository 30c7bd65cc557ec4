// What the output of an encoder is, and what is said where a head is not there or not implemented.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct EncoderOutputTests {
  private let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  /// The checkpoint of the vector `name`, to be changed.
  private func checkpoint(_ name: String) throws -> TinyCheckpoint {
    try TinyCheckpoint(folder: FamilyVector.root.appending(path: name).path)
  }

  private func load(_ checkpoint: TinyCheckpoint, output: ModelOutput? = nil) throws -> LoadedModel
  {
    try ModelLoader.load(path: checkpoint.write(to: scratch), output: output)
  }

  private func failure(_ checkpoint: TinyCheckpoint, output: ModelOutput? = nil) throws -> String {
    let error = #expect(throws: InputError.self) { try load(checkpoint, output: output) }
    return try #require(error?.cause)
  }

  /// Heads that `architectures` does not name are listed, and can be asked for.
  @Test func headsAreUsedWhereTheyAreNamed() throws {
    var checkpoint = try checkpoint("bert-classes")
    #expect(try load(checkpoint).notices.isEmpty)
    checkpoint.configuration["architectures"] = ["BertModel"]
    let plain = try load(checkpoint)
    #expect(plain.model.output == .states)
    #expect(
      plain.notices == [
        "2 tensors of a task head are not used (classifier.bias, classifier.weight): "
          + "the output is the last hidden state"
      ])
    #expect(
      plain.unusedKeys == [
        "bert.pooler.dense.bias", "bert.pooler.dense.weight", "classifier.bias",
        "classifier.weight",
      ])
    let asked = try load(checkpoint, output: .classes)
    #expect(asked.model.output == .classes && asked.notices.isEmpty && asked.unusedKeys.isEmpty)
    checkpoint.configuration["architectures"] = nil
    #expect(try load(checkpoint).model == plain.model)
    checkpoint.configuration["architectures"] = ["BertForSequenceClassification"]
    #expect(try load(checkpoint).model == asked.model)
    #expect(try load(checkpoint, output: .states).model == plain.model)
  }

  /// A base model whose configuration is that of a classifier was read before, and is.
  @Test func namedHeadsThatAreNotThereAreToldOf() throws {
    var checkpoint = try checkpoint("bert")
    checkpoint.configuration["architectures"] = ["BertForSequenceClassification"]
    let loaded = try load(checkpoint)
    #expect(loaded.model.output == .states)
    #expect(
      loaded.notices == [
        "config.json architectures: no head of BertForSequenceClassification was found: "
          + "the output is the last hidden state"
      ])
    #expect(
      try failure(checkpoint, output: .classes)
        == "2 problems: classifier.bias is missing; classifier.weight is missing")
  }

  @Test(arguments: ["BertForQuestionAnswering", "BertForMultipleChoice", "BertForPreTraining"])
  func otherHeadsAreToldOf(architecture: String) throws {
    var checkpoint = try checkpoint("bert-masked")
    checkpoint.configuration["architectures"] = [.string(architecture)]
    let loaded = try load(checkpoint)
    #expect(loaded.model.output == .states)
    #expect(
      loaded.notices.first
        == "config.json architectures: \(architecture) is not implemented: "
        + "the output is the last hidden state")
    #expect(loaded.notices.count == 2)
  }

  /// What a head beside the used one leaves is told with the output that there is.
  @Test func otherTensorsBesideAHeadAreListed() throws {
    var checkpoint = try checkpoint("bert-masked")
    checkpoint.add("cls.seq_relationship.weight", [2, 24])
    checkpoint.add("cls.seq_relationship.bias", [2])
    let loaded = try load(checkpoint)
    #expect(loaded.model.output == .tokenLogits)
    #expect(
      loaded.notices == [
        "2 tensors of a task head are not used (cls.seq_relationship.bias, "
          + "cls.seq_relationship.weight): the output is scores of the token at each position"
      ])
  }

  /// A matrix beside the table that the model is said to be tied to: the same, and another one.
  @Test(arguments: [
    ("bert-masked", "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
    ("modernbert-masked", "decoder.weight", "model.embeddings.tok_embeddings.weight"),
  ])
  func tiedMatricesAreCompared(name: String, matrix: String, table: String) throws {
    var checkpoint = try checkpoint(name)
    let tied = try load(checkpoint)
    checkpoint.tensors[matrix] = checkpoint.tensors[table]
    let same = try load(checkpoint)
    #expect(same.model == tied.model && same.notices.isEmpty)
    checkpoint.tensors[matrix]?.values[7] += 1
    let other = try load(checkpoint)
    #expect(other.checkpointKey(of: "lmHead") == matrix)
    #expect(
      other.notices == [
        "\(matrix) differs from \(table), which config.json says it is tied to: it is used"
      ])
  }

  @Test func decodersHaveNoOtherOutput() throws {
    let checkpoint = TinyCheckpoint.opt()
    #expect(
      try failure(checkpoint, output: .states)
        == #"config.json model_type: "opt" has no output "states", only "logits""#)
    #expect(
      try failure(try self.checkpoint("mpnet"), output: .logits)
        == #"config.json model_type: "mpnet" has no output "logits", only "states", "tokenLogits", "#
        + #""tokenClasses", "classes""#)
  }

  @Test func classesAreCounted() throws {
    var checkpoint = try checkpoint("roberta-classes")
    checkpoint.configuration["id2label"] = ["0": "no", "2": "yes"]
    #expect(
      try failure(checkpoint) == "config.json id2label: expected names by the numbers from 0 on")
    checkpoint.configuration["id2label"] = nil
    #expect(try failure(checkpoint).contains("has shape [3, 24], expected [2, 24]"))
    checkpoint.configuration["num_labels"] = 3
    #expect(try load(checkpoint).model.nodes.last?.width == 3)
    checkpoint.configuration["id2label"] = ["0": "no", "1": "yes"]
    #expect(try failure(checkpoint).hasPrefix("config.json num_labels: id2label has 2 classes"))
    // What no head reads does not count.
    #expect(try load(checkpoint, output: .states).model.output == .states)
  }

  /// Only the encoder of a model that has a decoder, too, under either name of its table.
  @Test func readsTheEncoderOfT5() throws {
    var checkpoint = try checkpoint("t5-encoder")
    let encoder = try load(checkpoint)
    checkpoint.configuration["architectures"] = ["T5ForConditionalGeneration"]
    checkpoint.add("decoder.block.0.layer.0.SelfAttention.q.weight", [18, 24])
    checkpoint.add("decoder.final_layer_norm.weight", [24])
    checkpoint.add("lm_head.weight", [52, 24])
    checkpoint.tensors["encoder.embed_tokens.weight"] = checkpoint.tensors["shared.weight"]
    let whole = try load(checkpoint)
    #expect(whole.model == encoder.model)
    #expect(
      whole.notices == [
        "config.json architectures: T5ForConditionalGeneration is not implemented: "
          + "the output is the last hidden state"
      ])
    checkpoint.tensors["shared.weight"] = nil
    #expect(
      try load(checkpoint).checkpointKey(of: "embedTokens") == "encoder.embed_tokens.weight")
  }

  @Test(
    arguments: [
      ("roberta", "position_embedding_type", "relative_key", #"only "absolute" is"#),
      ("xlm-roberta", "is_decoder", true, "only false is"),
      ("electra", "hidden_act", "gelu_10", "is not implemented, only"),
      ("distilbert", "activation", "mish", "is not implemented, only"),
      ("mpnet", "relative_attention_num_buckets", 64, "only 32 is"),
      ("modernbert", "hidden_activation", "laplace", "is not implemented, only"),
      ("modernbert", "layer_types", ["full_attention"], "expected an array of 4 strings"),
      ("modernbert-classes", "classifier_pooling", "max", #"only "cls" or "mean" is"#),
      ("t5-encoder", "feed_forward_proj", "gated-mish", "is not implemented, only"),
      ("t5-encoder", "relative_attention_num_buckets", 10, "are not implemented, only multiples"),
      ("mpnet", "max_position_embeddings", 2, "2 rows, the first 2 are no positions"),
    ] as [(String, String, JSON, String)])
  func settingsThatAreNotImplementedAreNamed(
    name: String, key: String, value: JSON, cause: String
  ) throws {
    var checkpoint = try checkpoint(name)
    checkpoint.configuration[key] = value
    let failure = try failure(checkpoint)
    #expect(failure.contains("config.json \(key): "), "\(failure)")
    #expect(failure.contains(cause), "\(failure)")
  }

  /// Those of a head that is not used change nothing.
  @Test func settingsOfOtherHeadsDoNotCount() throws {
    var checkpoint = try checkpoint("modernbert-masked")
    checkpoint.configuration["classifier_pooling"] = "max"
    #expect(try load(checkpoint).model.output == .tokenLogits)
  }
}
