// Architectures of GGUF files: their tensor names beside Hugging Face's, and their metadata keys.

import Bytes

/// One architecture: a name table, and how config.json follows from the metadata.
struct GGUFArchitecture {
  let name: String
  private var table: GGUFTable
  private let headCount: Int
  private let keyHeadCount: Int

  /// - Throws: `InputError` where the file names no architecture, or one that has no table.
  init(_ file: GGUF) throws(InputError) {
    let key = "general.architecture"
    let offset = file.keyOffsets[key] ?? GGUF.metadataOffset
    guard case .text(let name)? = file.metadata[key] else {
      throw InputError(
        file.path, place: key, offset: offset, "the file does not name its architecture")
    }
    guard let table = GGUFTable.all[name] else {
      let known = GGUFTable.all.keys.sorted().joined(separator: ", ")
      throw InputError(
        file.path, place: key, offset: offset,
        "architecture \"\(name)\" is not implemented, only \(known) are")
    }
    self.name = name
    self.table = table
    let metadata = GGUFMetadata(file, architecture: name)
    headCount = try metadata.integer("attention.head_count", in: 1...(1 << 20))
    keyHeadCount =
      try metadata.optionalInteger("attention.head_count_kv", in: 1...(1 << 20)) ?? headCount
    adapt(to: Set(file.tensors.map(\.name)))
  }

  /// Names that depend on what else is there.
  private mutating func adapt(to tensorNames: Set<String>) {
    if name == "falcon", tensorNames.contains("blk.0.attn_norm_2.weight") {
      table.blockNames["attn_norm"] = ("ln_mlp", .same)
      table.blockNames["attn_norm_2"] = ("ln_attn", .same)
    }
    if name == "t5encoder", !tensorNames.contains("enc.blk.0.ffn_gate.weight") {
      table.blockNames["ffn_up"] = ("layer.1.DenseReluDense.wi", .same)
    }
  }

  /// A tensor of the original, and how it is taken from the file's.
  struct Mapped {
    var name: String
    var shape: [Int]
    var layout: GGUFLayout
  }

  /// What the tensor `stored` is, or are, in the original; none where it is no tensor there.
  ///
  /// Other names and shapes that do not fit stay as they are, for the family's loader to name.
  func map(_ stored: TensorDescription) -> [Mapped] {
    if stored.name == GGUFArchitecture.frequencyFactors { return [] }
    let unknown = [Mapped(name: stored.name, shape: stored.shape, layout: .same)]
    guard let dot = stored.name.lastIndex(of: ".") else { return unknown }
    let (stem, kind) = (String(stored.name[..<dot]), String(stored.name[dot...]))
    guard kind == ".weight" || kind == ".bias" else { return unknown }
    if let original = table.names[stem] {
      let rows = stem.hasSuffix("_norm") ? table.normRows : .same
      return mapped(stored, original + kind, rows)
    }
    guard stem.hasPrefix(table.storedBlockPrefix) else { return unknown }
    let parts = stem.dropFirst(table.storedBlockPrefix.count)
      .split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let block = Int(parts[0]), block >= 0, String(block) == parts[0],
      let entry = table.blockNames[String(parts[1])]
    else { return unknown }
    let rows = parts[1].hasSuffix("norm") && entry.rows == .same ? table.normRows : entry.rows
    return mapped(stored, "\(table.blockPrefix)\(block).\(entry.original)\(kind)", rows)
  }

  private func mapped(_ stored: TensorDescription, _ name: String, _ rows: GGUFRows) -> [Mapped] {
    let shape = stored.shape
    func whole(_ layout: GGUFLayout) -> [Mapped] {
      [Mapped(name: name, shape: shape, layout: layout)]
    }
    switch rows {
    case .same: return whole(.same)
    case .plusOne: return whole(.plusOne)
    case .transposed:
      guard shape.count == 2 else { return whole(.same) }
      return [Mapped(name: name, shape: shape.reversed(), layout: .transposed)]
    case .queryHeads, .keyHeads:
      let count = rows == .queryHeads ? headCount : keyHeadCount
      guard let rowCount = shape.first, rowCount.isMultiple(of: 2 * count) else {
        return whole(.same)
      }
      return whole(.interleavedHeads(headCount: count))
    case .sortedHeads:
      let count = headCount + 2 * keyHeadCount
      guard let rowCount = shape.first, rowCount.isMultiple(of: count),
        headCount.isMultiple(of: keyHeadCount)
      else { return whole(.same) }
      return whole(.sortedHeads(headCount: headCount, keyHeadCount: keyHeadCount))
    case .joinedHeads:
      guard shape.count == 2 else { return whole(.same) }
      return (0..<shape[0]).map {
        Mapped(
          name: name.replacing("*", with: "\($0)"), shape: [shape[1]], layout: .row($0))
      }
    }
  }

  /// What divides each frequency of rotary positions.
  static let frequencyFactors = "rope_freqs.weight"

  /// What config.json would say.
  /// - Throws: one `InputError` with every key that is absent, of a wrong type, or not understood.
  func configuration(_ file: GGUF) throws(InputError) -> JSON {
    let shapes = Dictionary(
      file.tensors.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    var settings = GGUFSettings(
      metadata: GGUFMetadata(file, architecture: name), shapes: shapes, architecture: name)
    settings.members["model_type"] = .string(table.modelType)
    if shapes[GGUFArchitecture.frequencyFactors] != nil {
      settings.members["rope_scaling"] = [
        "rope_type": "factors",
        "factors": .array(
          try file.floats(GGUFArchitecture.frequencyFactors).map { .number(Double($0)) }),
      ]
    }
    settings.describe()
    try settings.metadata.finish()
    return .object(settings.members)
  }
}
