// Writes gates.safetensors: formats/gates.md.

public import Bytes

/// The gates and the orders of neurons of a model's layers, as a safetensors file.
public enum GatesFile {
  /// `__metadata__` of the file.
  public static let metadata: [String: JSON] = ["format": "lodge-gates", "version": "1"]

  /// Writes the gates of `layers`; of a layer without a gate the order, where neurons are removed.
  /// - Throws: `InputError` where the file cannot be written.
  public static func write(_ layers: [SparsifiedLayer], to path: String) throws(InputError) {
    try AtomicFile.write(bytes(layers), to: path)
  }

  /// Whether there is anything to write.
  public static func isEmpty(_ layers: [SparsifiedLayer]) -> Bool {
    !layers.contains { $0.isGated || $0.removedCount > 0 }
  }

  static func bytes(_ layers: [SparsifiedLayer]) -> [UInt8] {
    var header: [String: JSON] = ["__metadata__": .object(metadata)]
    var data: [UInt8] = []
    func add(_ name: String, type: String, shape: [Int], _ words: some Sequence<UInt32>) {
      let start = data.count
      for word in words {
        for byte in 0..<4 { data.append(UInt8(truncatingIfNeeded: word >> UInt32(8 * byte))) }
      }
      header[name] = [
        "dtype": .string(type), "shape": .array(shape.map { .integer($0) }),
        "data_offsets": [.integer(start), .integer(data.count)],
      ]
    }
    for layer in layers where layer.isGated || layer.removedCount > 0 {
      let prefix = "layers.\(layer.site.layer)."
      add(
        prefix + "order", type: "I32", shape: [layer.blocks.order.count],
        layer.blocks.order.map { UInt32($0) })
      guard layer.isGated else { continue }
      let gate = layer.gate
      add(
        prefix + "low", type: "F32", shape: [gate.rank, gate.inputCount],
        gate.low.map(\.bitPattern))
      add(
        prefix + "high", type: "F32", shape: [gate.blockCount, gate.rank],
        gate.high.map(\.bitPattern))
      add(prefix + "bias", type: "F32", shape: [gate.blockCount], gate.bias.map(\.bitPattern))
    }
    var text = Array(JSON.object(header).text.utf8)
    // Data begin at a multiple of eight.
    text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    return length + text + data
  }
}
