// Gates of attention heads: what decides in a layer which heads run, from the layer before.

import Bytes
import Checkpoints

extension GateFile {
  /// Widths that a head may have where it is skipped.
  static let headWidths = 1...1024

  private static let headParts = ["low", "high", "bias"]

  /// The layer and the part of the tensor `name`, where it belongs to gates of heads.
  private static func headPart(_ name: String) -> (layer: Int, part: String)? {
    let words = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 4, words[0] == "layers", words[2] == "heads",
      headParts.contains(words[3]), let layer = Int(words[1]), String(layer) == words[1]
    else { return nil }
    return (layer, words[3])
  }

  static func isOfHeads(_ name: String) -> Bool { headPart(name) != nil }

  /// The gates of heads among `tensors`, by the number of the layer.
  static func heads(_ tensors: [TensorDescription], _ problems: inout ProblemList)
    -> [Int: Predictor]
  {
    var shapes: [Int: [String: [Int]]] = [:]
    for tensor in tensors {
      guard let (layer, part) = headPart(tensor.name) else { continue }
      if !tensor.type.isReadableAsFloat {
        problems.add(tensor.name, ": is of type \(tensor.type.rawValue)")
      }
      shapes[layer, default: [:]][part] = tensor.shape
    }
    var result: [Int: Predictor] = [:]
    for (layer, shapes) in shapes.sorted(by: { $0.key < $1.key }) {
      let name = "layers.\(layer).heads"
      guard let low = shapes["low"], let high = shapes["high"], let bias = shapes["bias"] else {
        problems.add(name, ": low, high and bias stand together")
        continue
      }
      result[layer] = predictor(name, low: low, high: high, bias: bias, &problems)
    }
    return result
  }

  /// Inserts what decides about the heads of `layer` before its attention, reading what the layer
  /// before reads of it in its feed-forward network, and the product with its bits behind.
  static func insert(
    heads predictor: Predictor, layer: Int, in built: inout BuiltModel,
    _ problems: inout ProblemList
  ) {
    let name = "layers.\(layer).heads"
    let model = built.model
    guard let site = model.headSite(layer: layer) else {
      problems.add(
        name, ": " + (model.reasonAgainstHeadGates(layer: layer) ?? "the model has no such layer"))
      return
    }
    guard predictor.blockCount == site.headCount else {
      problems.add(name + ".bias", ": has \(predictor.blockCount) heads of \(site.headCount)")
      return
    }
    guard predictor.inputWidth == site.sourceWidth else {
      problems.add(
        name + ".low",
        ": has \(predictor.inputWidth) inputs, the feed-forward network of the layer before reads "
          + "\(site.sourceWidth)")
      return
    }
    let width = model.nodes[site.attention].width
    insert(
      predictor, name: "layers.\(layer).headGate", stored: name, reading: site.source,
      at: site.first, in: &built)
    let attention = site.attention + 3
    built.model.insert(
      [
        ModelNode(
          name: "layers.\(layer).attention.gated",
          operation: .gated(attention, by: site.first + 2), width: width)
      ], at: attention + 1)
    for index in attention + 2..<built.model.nodes.count {
      built.model.nodes[index].operation = built.model.nodes[index].operation.renumbered {
        $0 == attention ? attention + 1 : $0
      }
    }
  }
}

/// An attention whose heads can be skipped, and what decides about them.
public struct HeadSite: Equatable, Sendable {
  public var layer: Int
  /// What the feed-forward network of the layer before reads, [positions, sourceWidth].
  public var source: ModelValue
  public var sourceWidth: Int
  /// The attention, [positions, headCount * headWidth].
  public var attention: ModelValue
  public var headCount: Int
  /// What reads the attention: the output projection.
  public var output: ModelValue
  /// The first node of the layer that makes queries, keys or values.
  var first: Int
}

extension Model {
  private func node(_ layer: Int, _ name: String) -> Int? {
    nodes.firstIndex { $0.name == "layers.\(layer).\(name)" }
  }

  /// Where the heads of `layer` are, or nil: see `reasonAgainstHeadGates`.
  public func headSite(layer: Int) -> HeadSite? {
    guard reasonAgainstHeadGates(layer: layer) == nil, let attention = node(layer, "attention"),
      case .attention(_, _, _, let settings) = nodes[attention].operation,
      let up = node(layer - 1, "feedForward.up"),
      case .linear(let source, _, _) = nodes[up].operation,
      let output = nodes.indices.first(where: { nodes[$0].operation.inputs.contains(attention) }),
      let first = ["query", "key", "value"].compactMap({ node(layer, "attention.\($0)") }).min()
    else { return nil }
    return HeadSite(
      layer: layer, source: source, sourceWidth: nodes[source].width, attention: attention,
      headCount: settings.headCount, output: output, first: first)
  }

  /// Why the heads of `layer` cannot be skipped; nil where they can.
  public func reasonAgainstHeadGates(layer: Int) -> String? {
    guard kind == .decoder else { return "heads of \(kind)s are not skipped, only of decoders" }
    guard let attention = node(layer, "attention"), node(layer, "attention.query") != nil,
      case .attention(_, _, _, let settings) = nodes[attention].operation
    else { return "the model has no such layer with one attention" }
    guard layer > 0, node(layer - 1, "feedForward.up") != nil else {
      return "no feed-forward network stands before, which tells what heads run"
    }
    guard settings.window == nil, settings.softCap == nil, settings.bias == nil else {
      return "its attention has a window, a cap or a bias of scores"
    }
    guard GateFile.headWidths.contains(nodes[attention].width / settings.headCount) else {
      return "its heads are wider than \(GateFile.headWidths.upperBound)"
    }
    return nil
  }
}
