// Checkpoints of a few thousand parameters of the families GPT-2 and LLaMA.

import Bytes

extension TinyCheckpoint {
  /// GPT-2 with 2 heads, vocabulary 11 and 6 positions, every key but the output's after `prefix`.
  public static func gpt2(
    layerCount: Int = 2, width: Int = 8, innerWidth: Int = 32, prefix: String = "transformer."
  ) -> TinyCheckpoint {
    var result = TinyCheckpoint(configuration: [
      "model_type": "gpt2", "n_embd": .integer(width), "n_inner": .integer(innerWidth),
      "n_head": 2, "n_layer": .integer(layerCount), "vocab_size": 11, "n_positions": 6,
      "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
    ])
    result.add(prefix + "wte.weight", [11, width])
    result.add(prefix + "wpe.weight", [6, width])
    for layer in 0..<layerCount {
      let key = "\(prefix)h.\(layer)."
      result.addNorm(key + "ln_1", width: width)
      result.addNorm(key + "ln_2", width: width)
      // Conv1D matrices are [inputs, outputs].
      for (part, inputs, outputs) in [
        ("attn.c_attn", width, 3 * width), ("attn.c_proj", width, width),
        ("mlp.c_fc", width, innerWidth), ("mlp.c_proj", innerWidth, width),
      ] {
        result.add(key + part + ".weight", [inputs, outputs])
        result.add(key + part + ".bias", [outputs], scale: 0.1)
      }
    }
    result.addNorm(prefix + "ln_f", width: width)
    return result
  }

  /// LLaMA with 4 query and 2 key heads, vocabulary 11, 6 positions and its own output matrix.
  public static func llama(
    layerCount: Int = 2, width: Int = 16, innerWidth: Int = 12, prefix: String = "model."
  ) -> TinyCheckpoint {
    var result = TinyCheckpoint(configuration: [
      "model_type": "llama", "hidden_size": .integer(width),
      "intermediate_size": .integer(innerWidth), "num_attention_heads": 4,
      "num_key_value_heads": 2, "num_hidden_layers": .integer(layerCount), "vocab_size": 11,
      "max_position_embeddings": 6, "rms_norm_eps": 1e-5, "hidden_act": "silu",
      "rope_theta": 10000.0, "tie_word_embeddings": false,
    ])
    result.add(prefix + "embed_tokens.weight", [11, width])
    for layer in 0..<layerCount {
      let key = "\(prefix)layers.\(layer)."
      result.add(key + "input_layernorm.weight", [width], scale: 0.2, center: 1)
      result.add(key + "post_attention_layernorm.weight", [width], scale: 0.2, center: 1)
      result.add(key + "self_attn.q_proj.weight", [width, width])
      result.add(key + "self_attn.k_proj.weight", [width / 2, width])
      result.add(key + "self_attn.v_proj.weight", [width / 2, width])
      result.add(key + "self_attn.o_proj.weight", [width, width])
      result.add(key + "mlp.gate_proj.weight", [innerWidth, width])
      result.add(key + "mlp.up_proj.weight", [innerWidth, width])
      result.add(key + "mlp.down_proj.weight", [width, innerWidth])
    }
    result.add(prefix + "norm.weight", [width], scale: 0.2, center: 1)
    result.add("lm_head.weight", [11, width])
    return result
  }
}
