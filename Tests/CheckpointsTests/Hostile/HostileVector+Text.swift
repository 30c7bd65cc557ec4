// Broken JSON, configurations and safetensors headers.

import Bytes
import TestSupport

extension HostileVector {
  /// Rules of the JSON parser, which reads headers, indices and configurations.
  static let json: [HostileVector] =
    [
      ("empty", ""), ("end-of-text", "[1,"), ("text-after", "{} x"), ("literal", "[nul]"),
      ("value", "[x]"), ("key", "{a:1}"), ("duplicate-key", #"{"a":1,"a":2}"#),
      ("colon", #"{"a" 1}"#), ("object-comma", #"{"a":1;}"#), ("array-comma", "[1;2]"),
      ("fraction", "[1.]"), ("exponent", "[1e+]"), ("range", "[1e999]"), ("string-end", #"["abc"#),
      ("escape-end", #"["abc\"#), ("escape", #"["\x"]"#), ("hexadecimal", #"["\u12g4"]"#),
      ("surrogate", #"["\ud800"]"#), ("second-surrogate", #"["\udc00\ud800"]"#),
      ("surrogate-pair", #"["\ud800\u0041"]"#), ("control", "[\"a\nb\"]"),
      ("depth", String(repeating: "[", count: 66)),
      ("value-count", "[" + String(repeating: "0,", count: 1 << 18) + "0]"),
      ("file-length", String(repeating: " ", count: (16 << 20) + 1)),
    ].map { HostileVector("json-\($0).json", Array($1.utf8)) } + [
      HostileVector("json-utf8.json", Array("[\"".utf8) + [0xc3, 0x28] + Array("\"]".utf8))
    ]

  /// Settings of a tiny OPT, one of them wrong.
  static let configurations: [HostileVector] =
    [
      ("object", [:], "[]"), ("model-type-missing", ["model_type": nil], nil),
      ("model-type", ["model_type": "rwkv"], nil), ("missing", ["hidden_size": nil], nil),
      ("range", ["vocab_size": 0], nil), ("integer", ["ffn_dim": 2.5], nil),
      ("value", ["activation_function": "mish"], nil),
      ("boolean-value", ["_remove_final_layer_norm": 1], nil),
      (
        "five-problems",
        [
          "activation_function": "mish", "_remove_final_layer_norm": true, "ffn_dim": "wide",
          "vocab_size": nil, "num_attention_heads": -1,
        ], nil
      ),
    ].map { (rule: String, changes: [String: JSON?], text: String?) in
      var members = TinyCheckpoint.opt(layerCount: 1, width: 2, innerWidth: 2).configuration
      for (key, value) in changes { members[key] = value }
      return HostileVector(
        "config-\(rule).json", Array((text ?? JSON.object(members).text).utf8))
    } + families.map { rule, text in HostileVector("config-\(rule).json", Array(text.utf8)) }

  /// Settings that other families read otherwise than OPT does.
  private static let families = [
    ("number", #"{"model_type":"llama","rms_norm_eps":"small"}"#),
    ("positive", #"{"model_type":"llama","rms_norm_eps":0}"#),
    ("boolean", #"{"model_type":"llama","tie_word_embeddings":1}"#),
    ("absent", #"{"model_type":"chatglm","pre_seq_len":16}"#),
    ("string", #"{"model_type":"llama","rope_scaling":{"rope_type":1}}"#),
    ("known", #"{"model_type":"llama","rope_scaling":{"rope_type":"dynamic"}}"#),
    ("contradiction", #"{"model_type":"llama","rope_theta":5,"rope_parameters":{"rope_theta":9}}"#),
    ("numbers", #"{"model_type":"llama","rope_scaling":{"rope_type":"factors"}}"#),
    ("numbers-range", #"{"model_type":"llama","rope_scaling":{"type":"factors","factors":[0.5]}}"#),
    ("layers", #"{"model_type":"qwen2","layer_types":"full_attention"}"#),
    ("array", #"{"model_type":"llama","layer_types":"full_attention"}"#),
    ("array-element", #"{"model_type":"llama","layer_types":["sliding_attention"]}"#),
  ]

  /// Tensors that a tiny OPT does not have, or not so.
  static let models: [HostileVector] =
    [
      ("missing", { $0.tensors["model.decoder.final_layer_norm.bias"] = nil }),
      ("unknown", { $0.add("model.decoder.extra", [1]) }),
      ("shape", { $0.add("model.decoder.final_layer_norm.bias", [1, 2]) }),
    ].map { (rule: String, change: (inout TinyCheckpoint) -> Void) in
      var tiny = TinyCheckpoint.opt(layerCount: 1, width: 2, innerWidth: 2)
      change(&tiny)
      return HostileVector("model-\(rule).safetensors", tiny.safetensors())
    } + [
      HostileVector(
        "model-type.safetensors",
        TinyCheckpoint.opt(layerCount: 1, width: 2, innerWidth: 2)
          .safetensors(integers: "model.decoder.final_layer_norm.bias"))
    ]

  /// A header of two tensors, a: F32 [2, 3] and b: I64 [2], with 40 bytes of data.
  private static func header(
    _ rule: String,
    a: String = #"{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}"#,
    b: String = #"{"dtype":"I64","shape":[2],"data_offsets":[24,40]}"#,
    metadata: String? = nil, dataByteCount: Int = 40
  ) -> HostileVector {
    let head = metadata.map { #""__metadata__":\#($0),"# } ?? ""
    return HostileVector(
      "safetensors-\(rule).safetensors",
      SafetensorsBuilder.bytes(
        header: Array("{\(head)\"a\":\(a),\"b\":\(b)}".utf8),
        data: [UInt8](repeating: 0, count: dataByteCount)))
  }

  private static func file(_ rule: String, length: UInt64? = nil, _ text: String) -> HostileVector {
    let bytes = length.map(ByteWriter.bytes) ?? ByteWriter.bytes(UInt64(text.utf8.count))
    return HostileVector("safetensors-\(rule).safetensors", bytes + Array(text.utf8))
  }

  static let safetensors: [HostileVector] =
    [
      HostileVector("safetensors-too-short.safetensors", [2, 0, 0, 0, 0, 0, 0]),
      file("header-length", length: 16 << 20 + 1, "{}"),
      file("header-length-64-bits", length: .max, "{}"),
      file("header-beyond-end", length: 3, "{}"), file("no-header", ""),
      file("header-array", "[]"), file("header-space", " {}"), file("header-cut", "{"),
      file("header-text-after", "{}x"), file("duplicate-tensor", #"{"a":{},"a":{}}"#),
      header("entry", a: "[]"),
      header("no-type", a: #"{"shape":[6],"data_offsets":[0,24]}"#),
      header("no-shape", a: #"{"dtype":"F32","data_offsets":[0,24]}"#),
      header("no-offsets", a: #"{"dtype":"F32","shape":[6]}"#),
      header("unknown-key", a: #"{"dtype":"F32","shape":[6],"data_offsets":[0,24],"x":0}"#),
      header("type-number", a: #"{"dtype":32,"shape":[6],"data_offsets":[0,24]}"#),
      header("type", a: #"{"dtype":"F31","shape":[6],"data_offsets":[0,24]}"#),
      header("type-case", a: #"{"dtype":"f32","shape":[6],"data_offsets":[0,24]}"#),
      header("type-blocks", a: #"{"dtype":"Q8_0","shape":[32],"data_offsets":[0,34]}"#),
      header("shape", a: #"{"dtype":"F32","shape":6,"data_offsets":[0,24]}"#),
      header("shape-fraction", a: #"{"dtype":"F32","shape":[6.0],"data_offsets":[0,24]}"#),
      header("shape-negative", a: #"{"dtype":"F32","shape":[-2,-3],"data_offsets":[0,24]}"#),
      header(
        "shape-overflow",
        a: #"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,24]}"#),
      header("shape-bits", a: #"{"dtype":"F4","shape":[3],"data_offsets":[0,24]}"#),
      header("size", a: #"{"dtype":"F32","shape":[7],"data_offsets":[0,24]}"#),
      header("offset-count", a: #"{"dtype":"F32","shape":[6],"data_offsets":[0,24,48]}"#),
      header("offset-order", a: #"{"dtype":"F32","shape":[6],"data_offsets":[24,0]}"#),
      header("offset-negative", a: #"{"dtype":"F32","shape":[6],"data_offsets":[-24,0]}"#),
      header("offset-beyond-end", a: #"{"dtype":"F32","shape":[6],"data_offsets":[20,44]}"#),
      header(
        "offset-huge",
        a: #"{"dtype":"F32","shape":[6],"data_offsets":[9223372036854775783,9223372036854775807]}"#
      ),
      header("overlap", b: #"{"dtype":"I64","shape":[3],"data_offsets":[16,40]}"#),
      header("same-bytes", b: #"{"dtype":"F32","shape":[6],"data_offsets":[0,24]}"#),
      header("gap", b: #"{"dtype":"I64","shape":[1],"data_offsets":[32,40]}"#),
      header("gap-at-start", a: #"{"dtype":"F32","shape":[4],"data_offsets":[8,24]}"#),
      header("bytes-after", dataByteCount: 42), header("cut", dataByteCount: 39),
      header("metadata", metadata: "[]"), header("metadata-value", metadata: #"{"a":1}"#),
      values("integers", "I64", [1, 0, 0, 0, 0, 0, 0, 0]),
      values("infinity", "F32", [0, 0, 0x80, 0x7f]), values("nan", "F16", [1, 0x7c]),
      values("beyond-float", "F64", ByteWriter.bytes(Double(1e300).bitPattern)),
    ]

  /// A file that opens and whose one element is not to be read.
  private static func values(_ rule: String, _ type: String, _ bytes: [UInt8]) -> HostileVector {
    var builder = SafetensorsBuilder()
    builder.add("a", type: type, shape: [1], bytes: bytes)
    return HostileVector("safetensors-\(rule).safetensors", builder.bytes)
  }
}
