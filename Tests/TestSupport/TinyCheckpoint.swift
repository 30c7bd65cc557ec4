// Checkpoints of a few thousand parameters, for tests of errors and of whole pipelines.

public import Bytes
import Checkpoints

/// A checkpoint folder in the making: change the configuration or the tensors, then write it.
public struct TinyCheckpoint: Sendable {
  public struct Tensor: Sendable {
    public var shape: [Int]
    public var values: [Float]
  }

  public var configuration: [String: JSON]
  public var tensors: [String: Tensor]
  private var state: UInt64 = 0x5eed

  init(configuration: [String: JSON]) {
    self.configuration = configuration
    tensors = [:]
  }

  /// Configuration and tensors of the checkpoint at `folder`.
  public init(folder: String) throws {
    let checkpoint = try Checkpoint(path: folder)
    guard case .object(let members) = checkpoint.configuration else {
      throw InputError(folder, "has no settings")
    }
    self.init(configuration: members)
    for tensor in checkpoint.tensors {
      tensors[tensor.name] = Tensor(
        shape: tensor.shape, values: try checkpoint.floats(tensor.name))
    }
  }

  /// A new tensor of values from -scale to scale around `center`, from a fixed sequence.
  public mutating func add(_ name: String, _ shape: [Int], scale: Float = 0.5, center: Float = 0) {
    let values = (0..<shape.reduce(1, *)).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return center + scale * (Float(state >> 40) / Float(1 << 23) - 1)
    }
    tensors[name] = Tensor(shape: shape, values: values)
  }

  mutating func addLinear(_ name: String, outputs: Int, inputs: Int) {
    add(name + ".weight", [outputs, inputs])
    add(name + ".bias", [outputs], scale: 0.1)
  }

  mutating func addNorm(_ name: String, width: Int) {
    add(name + ".weight", [width], scale: 0.2, center: 1)
    add(name + ".bias", [width], scale: 0.1)
  }

  /// OPT with 2 heads, vocabulary 11 and 6 positions.
  public static func opt(layerCount: Int = 2, width: Int = 8, innerWidth: Int = 12)
    -> TinyCheckpoint
  {
    var result = TinyCheckpoint(configuration: [
      "model_type": "opt", "hidden_size": .integer(width), "ffn_dim": .integer(innerWidth),
      "num_attention_heads": 2, "num_hidden_layers": .integer(layerCount), "vocab_size": 11,
      "max_position_embeddings": 6, "activation_function": "relu", "do_layer_norm_before": true,
      "word_embed_proj_dim": .integer(width),
    ])
    let prefix = "model.decoder."
    result.add(prefix + "embed_tokens.weight", [11, width])
    result.add(prefix + "embed_positions.weight", [8, width])
    for layer in 0..<layerCount {
      let key = "\(prefix)layers.\(layer)."
      result.addNorm(key + "self_attn_layer_norm", width: width)
      for part in ["q", "k", "v", "out"] {
        result.addLinear(key + "self_attn.\(part)_proj", outputs: width, inputs: width)
      }
      result.addNorm(key + "final_layer_norm", width: width)
      result.addLinear(key + "fc1", outputs: innerWidth, inputs: width)
      result.addLinear(key + "fc2", outputs: width, inputs: innerWidth)
    }
    result.addNorm(prefix + "final_layer_norm", width: width)
    return result
  }

  /// BERT with 2 heads, vocabulary 11 and 6 positions, every key after `prefix`.
  public static func bert(
    layerCount: Int = 2, width: Int = 8, innerWidth: Int = 12, prefix: String = ""
  ) -> TinyCheckpoint {
    var result = TinyCheckpoint(configuration: [
      "model_type": "bert", "hidden_size": .integer(width),
      "intermediate_size": .integer(innerWidth), "num_attention_heads": 2,
      "num_hidden_layers": .integer(layerCount), "vocab_size": 11, "max_position_embeddings": 6,
      "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
    ])
    let embeddings = prefix + "embeddings."
    result.add(embeddings + "word_embeddings.weight", [11, width])
    result.add(embeddings + "position_embeddings.weight", [6, width])
    result.add(embeddings + "token_type_embeddings.weight", [2, width])
    result.addNorm(embeddings + "LayerNorm", width: width)
    for layer in 0..<layerCount {
      let key = "\(prefix)encoder.layer.\(layer)."
      for part in ["query", "key", "value"] {
        result.addLinear(key + "attention.self.\(part)", outputs: width, inputs: width)
      }
      result.addLinear(key + "attention.output.dense", outputs: width, inputs: width)
      result.addNorm(key + "attention.output.LayerNorm", width: width)
      result.addLinear(key + "intermediate.dense", outputs: innerWidth, inputs: width)
      result.addLinear(key + "output.dense", outputs: width, inputs: innerWidth)
      result.addNorm(key + "output.LayerNorm", width: width)
    }
    result.addLinear(prefix + "pooler.dense", outputs: width, inputs: width)
    return result
  }

  /// The tensors as a file, F32 but for the one named `integers`, of which zeros of I32 are made.
  public func safetensors(integers: String? = nil) -> [UInt8] {
    var builder = SafetensorsBuilder()
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      if name == integers {
        let bytes = [UInt8](repeating: 0, count: 4 * tensor.values.count)
        builder.add(name, type: "I32", shape: tensor.shape, bytes: bytes)
      } else {
        builder.add(name, shape: tensor.shape, values: tensor.values)
      }
    }
    return builder.bytes
  }

  /// Writes config.json and model.safetensors (F32) into `folder` and returns its path.
  public func write(to folder: ScratchFolder) throws -> String {
    _ = try folder.write(JSON.object(configuration).text.utf8, to: "config.json")
    _ = try folder.write(safetensors(), to: "model.safetensors")
    return folder.path
  }
}
