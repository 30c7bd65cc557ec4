// Broken GGUF files, and such that describe no model that is read.

extension HostileVector {
  static let gguf: [HostileVector] = headers + metadata + infos + architectures + splits

  private static func file(_ rule: String, _ change: (inout GGUFBuilder) -> Void) -> HostileVector {
    var builder = GGUFBuilder.llama()
    change(&builder)
    return HostileVector("gguf-\(rule).gguf", builder.bytes)
  }

  /// The value of llama.block_count in another type.
  private static func value(_ rule: String, type: UInt32, _ bytes: [UInt8]) -> HostileVector {
    file(rule) { $0.metadata[1].value = .raw(type: type, bytes) }
  }

  /// A part of a model in several files.
  static func part(
    _ number: UInt32, of count: UInt32, _ names: [String], tensorCount: UInt32? = nil
  ) -> [UInt8] {
    var builder = GGUFBuilder()
    builder.metadata = [("split.no", .uint32(number)), ("split.count", .uint32(count))]
    if let tensorCount { builder.metadata.append(("split.tensors.count", .uint32(tensorCount))) }
    for name in names { builder.add(name, shape: [1], values: [1]) }
    return builder.bytes
  }

  private static let splits = [
    HostileVector("gguf-split-name.gguf", part(0, of: 2, ["a"])),
    HostileVector("gguf-split-missing-00001-of-00002.gguf", part(0, of: 2, ["a"])),
    HostileVector("gguf-split-number.gguf", part(2, of: 2, ["a"])),
  ]

  private static let headers = [
    HostileVector("gguf-empty.gguf", []), file("signature") { $0.signature = "GGUX" },
    file("version-1") { $0.version = 1 }, file("version-4") { $0.version = 4 },
    file("big-endian") { $0.version = 3 << 24 },
    file("tensor-count") { $0.tensorCount = .max },
    file("metadata-count") { $0.entryCount = .max },
    HostileVector("gguf-cut.gguf", Array(GGUFBuilder.llama().bytes.prefix(60))),
  ]

  private static let metadata = [
    file("duplicate-key") { $0.metadata.append($0.metadata[0]) },
    value("value-type", type: 13, []), value("boolean", type: 7, [2]),
    value("float32", type: 6, ByteWriter.bytes(Float.nan.bitPattern)),
    value("float64", type: 12, ByteWriter.bytes(Double.infinity.bitPattern)),
    value("integer", type: 10, [UInt8](repeating: 255, count: 8)),
    value("nested-array", type: 9, ByteWriter.bytes(UInt32(9)) + ByteWriter.bytes(UInt64(1))),
    value("array-count", type: 9, ByteWriter.bytes(UInt32(11)) + ByteWriter.bytes(UInt64.max)),
    value(
      "array-text", type: 9,
      ByteWriter.bytes(UInt32(8)) + ByteWriter.bytes(UInt64(1)) + ByteWriter.bytes(UInt64.max)),
    value("text-length", type: 8, ByteWriter.bytes(UInt64.max)),
    value("text-utf8", type: 8, ByteWriter.bytes(UInt64(1)) + [0xff]),
    file("key-length") { $0.metadata[1].key = String(repeating: "k", count: 65537) },
    file("alignment") { $0.metadata.append(("general.alignment", .uint32(48))) },
    file("alignment-zero") { $0.metadata.append(("general.alignment", .uint32(0))) },
    file("alignment-text") { $0.metadata.append(("general.alignment", .text("32"))) },
  ]

  private static let infos = [
    file("name-length") { $0.tensors[0].name = String(repeating: "n", count: 1025) },
    file("duplicate-tensor") { $0.tensors[0].name = $0.tensors[1].name },
    file("rank") { $0.tensors[0].lengths = [1, 1, 1, 1, 1] },
    file("length") { $0.tensors[0].lengths = [.max] },
    file("size-overflow") { $0.tensors[0].lengths = [1 << 40, 1 << 40] },
    file("size") { $0.tensors[0].lengths = [1 << 30] },
    file("offset") { $0.tensors[3].offset = 1 << 62 },
    file("data-cut") { $0.data.removeLast(5) },
    file("data-missing") {
      $0.data = []
      $0.metadata.append(("general.alignment", .uint32(1024)))
    },
    file("offset-alignment") { $0.tensors[0].offset = 1 },
    file("overlap") { $0.tensors[1].offset = 0 },
    file("types") {
      $0.tensors[0].type = 10
      $0.tensors[1].type = 99
    },
    file("row-blocks") { $0.tensors[0].type = 2 },
    file("nan") { $0.data.replaceSubrange(0..<4, with: [0, 0, 0xc0, 0x7f]) },
  ]

  /// Metadata of a LLaMA that are absent or not implemented.
  private static let architectures = [
    file("no-architecture") { $0.metadata.removeFirst() },
    file("architecture") { $0.metadata[0].value = .text("falcon") },
    file("no-head-count") { $0.metadata.remove(at: 5) },
    file("head-count") { $0.metadata[5].value = .uint32(0) },
    file("no-width") { $0.metadata.remove(at: 3) },
    file("experts") { $0.metadata.append(("llama.expert_count", .uint32(8))) },
    file("rotary-width") { $0.metadata.append(("llama.rope.dimension_count", .uint32(2))) },
    file("unknown-key") { $0.metadata.append(("llama.logit_scale", .float32(2))) },
    file("array-setting") {
      $0.metadata[3].value = .raw(
        type: 9, ByteWriter.bytes(UInt32(0)) + ByteWriter.bytes(UInt64(1)) + [8])
    },
    file("same-original") { $0.add("model.embed_tokens.weight", shape: [1], values: [1]) },
  ]
}
