// Writes gates.safetensors: formats/gates.md.

public import Bytes
public import Checkpoints
import Models

/// The gates and the orders of neurons of a model's layers, as a safetensors file.
public enum GatesFile {
  /// `__metadata__` of the file.
  public static let metadata: [String: JSON] = ["format": "lodge-gates", "version": "1"]

  /// Writes the gates of `layers`; of a layer without a gate the order, where neurons are removed.
  /// - Throws: `InputError` where the file cannot be written.
  public static func write(_ layers: [SparsifiedLayer], to path: String) throws(InputError) {
    try write(layers, gated: gated(layers), to: path)
  }

  /// The same where the layers with the indices `gated` have gates, and no others.
  public static func write(_ layers: [SparsifiedLayer], gated: Set<Int>, to path: String)
    throws(InputError)
  {
    try AtomicFile.write(bytes(layers, gated: gated), to: path)
  }

  /// Whether there is nothing to write.
  public static func isEmpty(_ layers: [SparsifiedLayer]) -> Bool {
    isEmpty(layers, gated: gated(layers))
  }

  private static func gated(_ layers: [SparsifiedLayer]) -> Set<Int> {
    Set(layers.indices.filter { layers[$0].isGated })
  }

  /// Writes the gates of `heads` beside those of `others`, a file as this one, if there is any.
  /// - Throws: `InputError` where the file cannot be written, or the other not be read.
  public static func write(
    _ heads: [SparsifiedHeads], beside others: Safetensors?, to path: String
  ) throws(InputError) {
    var file = TensorBytes()
    for tensor in others?.tensors ?? [] {
      if let numbers = try others?.integers(tensor.name) {
        file.add(
          tensor.name, type: "I32", shape: tensor.shape,
          numbers.map { UInt32(truncatingIfNeeded: $0) })
      } else if let values = try others?.floats(tensor.name) {
        file.add(tensor.name, type: "F32", shape: tensor.shape, values.map(\.bitPattern))
      }
    }
    for heads in heads where heads.isGated {
      file.add(heads.gate, prefix: "layers.\(heads.site.layer).heads.")
    }
    try AtomicFile.write(file.bytes, to: path)
  }

  /// Whether there is nothing to write where the layers with the indices `gated` have gates.
  public static func isEmpty(_ layers: [SparsifiedLayer], gated: Set<Int>) -> Bool {
    gated.isEmpty && !layers.contains { $0.kept(isGated: false).count < $0.site.neuronCount }
  }

  static func bytes(_ layers: [SparsifiedLayer], gated: Set<Int>) -> [UInt8] {
    var file = TensorBytes()
    for (index, layer) in layers.enumerated() {
      let kept = layer.kept(isGated: gated.contains(index))
      guard gated.contains(index) || kept.count < layer.site.neuronCount else { continue }
      let prefix = "layers.\(layer.site.layer)."
      file.add(prefix + "order", type: "I32", shape: [kept.count], kept.map { UInt32($0) })
      if gated.contains(index) { file.add(layer.gate, prefix: prefix) }
    }
    return file.bytes
  }
}

/// A safetensors file in the making.
private struct TensorBytes {
  private var header: [String: JSON] = ["__metadata__": .object(GatesFile.metadata)]
  private var data: [UInt8] = []

  mutating func add(_ name: String, type: String, shape: [Int], _ words: some Sequence<UInt32>) {
    let start = data.count
    for word in words {
      for byte in 0..<4 { data.append(UInt8(truncatingIfNeeded: word >> UInt32(8 * byte))) }
    }
    header[name] = [
      "dtype": .string(type), "shape": .array(shape.map { .integer($0) }),
      "data_offsets": [.integer(start), .integer(data.count)],
    ]
  }

  mutating func add(_ gate: LowRankGate, prefix: String) {
    add(
      prefix + "low", type: "F32", shape: [gate.rank, gate.inputCount], gate.low.map(\.bitPattern))
    add(
      prefix + "high", type: "F32", shape: [gate.blockCount, gate.rank],
      gate.high.map(\.bitPattern))
    add(prefix + "bias", type: "F32", shape: [gate.blockCount], gate.bias.map(\.bitPattern))
  }

  var bytes: [UInt8] {
    var text = Array(JSON.object(header).text.utf8)
    // Data begin at a multiple of eight.
    text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    return length + text + data
  }
}
