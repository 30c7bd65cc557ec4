// Writes GGUF files for tests, well-formed or not.

/// Header, metadata and infos in order; data follow at the alignment.
struct GGUFBuilder {
  enum Value {
    case uint32(UInt32)
    case float32(Float)
    case bool(UInt8)
    case text(String)
    case raw(type: UInt32, [UInt8])
  }

  struct Tensor {
    var name: String
    /// As the file has them, the fastest axis first.
    var lengths: [UInt64]
    var type: UInt32 = 0
    var offset: UInt64
  }

  var version: UInt32 = 3
  var signature = "GGUF"
  var metadata: [(key: String, value: Value)] = []
  var tensors: [Tensor] = []
  var data: [UInt8] = []
  var alignment = 32
  var tensorCount: UInt64?
  var entryCount: UInt64?

  /// Adds an F32 tensor; `shape` is row-major.
  mutating func add(_ name: String, shape: [Int], values: [Float]) {
    while !data.count.isMultiple(of: alignment) { data.append(0) }
    tensors.append(
      Tensor(name: name, lengths: shape.reversed().map { UInt64($0) }, offset: UInt64(data.count)))
    for value in values { data += ByteWriter.bytes(value.bitPattern) }
  }

  private static func put(_ writer: inout ByteWriter, text: String) {
    writer.put(UInt64(text.utf8.count))
    writer.put(text)
  }

  var bytes: [UInt8] {
    var writer = ByteWriter()
    writer.put(signature)
    writer.put(version)
    writer.put(tensorCount ?? UInt64(tensors.count))
    writer.put(entryCount ?? UInt64(metadata.count))
    for (key, value) in metadata {
      GGUFBuilder.put(&writer, text: key)
      switch value {
      case .uint32(let value):
        writer.put(UInt32(4))
        writer.put(value)
      case .float32(let value):
        writer.put(UInt32(6))
        writer.put(value.bitPattern)
      case .bool(let value):
        writer.put(UInt32(7))
        writer.put(value)
      case .text(let value):
        writer.put(UInt32(8))
        GGUFBuilder.put(&writer, text: value)
      case .raw(let type, let bytes):
        writer.put(type)
        writer.put(bytes)
      }
    }
    for tensor in tensors {
      GGUFBuilder.put(&writer, text: tensor.name)
      writer.put(UInt32(tensor.lengths.count))
      for length in tensor.lengths { writer.put(length) }
      writer.put(tensor.type)
      writer.put(tensor.offset)
    }
    while !data.isEmpty, !writer.bytes.count.isMultiple(of: alignment) { writer.put(UInt8(0)) }
    writer.put(data)
    return writer.bytes
  }

  /// A LLaMA of one block, width 4, 2 heads and 1 key head, whose tensors count from 0.
  static func llama() -> GGUFBuilder {
    var builder = GGUFBuilder()
    builder.metadata = [
      ("general.architecture", .text("llama")), ("llama.block_count", .uint32(1)),
      ("llama.context_length", .uint32(16)), ("llama.embedding_length", .uint32(8)),
      ("llama.feed_forward_length", .uint32(6)), ("llama.attention.head_count", .uint32(2)),
      ("llama.attention.head_count_kv", .uint32(1)),
      ("llama.attention.layer_norm_rms_epsilon", .float32(1e-6)),
    ]
    func counting(_ count: Int) -> [Float] { (0..<count).map { Float($0) } }
    builder.add("token_embd.weight", shape: [5, 8], values: counting(40))
    builder.add("blk.0.attn_q.weight", shape: [8, 8], values: counting(64))
    builder.add("blk.0.attn_k.weight", shape: [4, 8], values: counting(32))
    builder.add("blk.0.attn_k.bias", shape: [4], values: counting(4))
    return builder
  }
}
