// The feed-forward parts of a model that blocks of neurons can be skipped in.

import Approximation
public import Models

/// The feed-forward part of a layer: W2 hidden + b2, hidden = act(W1 x + b1) or act(gate x) * (up x).
public struct FeedForwardSite: Equatable, Sendable {
  public var layer: Int
  /// What the layer's attention reads, and a gate with it, [positions, sourceWidth].
  public var source: ModelValue
  public var sourceWidth: Int
  /// What the down-projection reads, [positions, neuronCount].
  public var hidden: ModelValue
  public var neuronCount: Int
  /// Width of what it reads and writes.
  public var width: Int
  /// Matrices of width times neuronCount elements: 2, or 3 for gated units.
  public var matrixCount: Int
}

extension Model {
  /// One for each layer with an attention and a single feed-forward part, in the order of layers.
  public var feedForwardSites: [FeedForwardSite] {
    var sources: [Int: ModelValue] = [:]
    for node in nodes {
      guard case .attention(let query, _, _, _) = node.operation, let layer = node.layer else {
        continue
      }
      sources[layer] = projectedValue(query)
    }
    var sites: [Int: [FeedForwardSite]] = [:]
    for node in nodes {
      guard case .linear(let hidden, _, _) = node.operation, let layer = node.layer,
        let source = sources[layer], let matrixCount = feedForwardMatrixCount(hidden)
      else { continue }
      sites[layer, default: []].append(
        FeedForwardSite(
          layer: layer, source: source, sourceWidth: nodes[source].width, hidden: hidden,
          neuronCount: nodes[hidden].width, width: node.width, matrixCount: matrixCount))
    }
    return sites.values.filter { $0.count == 1 }.flatMap { $0 }.sorted { $0.layer < $1.layer }
  }

  /// What the projection reads that `value` comes from, through rotations and normalisations.
  private func projectedValue(_ value: ModelValue) -> ModelValue? {
    var value = value
    while true {
      let operation = nodes[value].operation
      if case .linear(let input, _, _) = operation { return input }
      guard let input = operation.inputs.first else { return nil }
      value = input
    }
  }

  /// Matrices of the feed-forward part whose activations `hidden` are; nil where it is none.
  private func feedForwardMatrixCount(_ hidden: ModelValue) -> Int? {
    switch nodes[hidden].operation {
    case .activation: 2
    case .multiply(let left, let right):
      [left, right].contains {
        if case .activation = nodes[$0].operation { true } else { false }
      } ? 3 : nil
    default: nil
    }
  }
}
