// The residual stream: in a narrow ring and, where only LayerNorms read it, without its mean.

import Approximation
import Bytes
import Foundation
import Models

/// The sums of a model that only normalisations read, and what they are sums of.
struct ResidualStream {
  /// Nodes that are computed less the mean of their row, since no reader sees it: the weights that
  /// they come from are centred before they are shared.
  var centred: Set<Int> = []
  /// Nodes of sums that only normalisations and such sums read.
  var narrow: Set<Int> = []

  init() {}

  init(_ model: Model, recipe: Recipe) {
    func inputs(_ index: Int) -> [Int] { model.nodes[index].operation.inputs }
    let readers = model.nodes.indices.map { index in
      model.nodes.indices.filter { inputs($0).contains(index) }
    }
    /// The largest set of nodes that only nodes for which `reads` holds and others of it read, whose
    /// sums are of others of it.
    func largest(reads: (ModelOperation) -> Bool, isSource: (Int) -> Bool) -> Set<Int> {
      var nodes = Set(
        model.nodes.indices.dropLast().filter { index in
          if case .add = model.nodes[index].operation { return true }
          return isSource(index)
        })
      while true {
        let left = nodes.filter { index in
          guard !readers[index].isEmpty else { return false }
          if case .add(let left, let right) = model.nodes[index].operation,
            !nodes.contains(left) || !nodes.contains(right)
          {
            return false
          }
          return readers[index].allSatisfy { reader in
            if case .add = model.nodes[reader].operation { return nodes.contains(reader) }
            return reads(model.nodes[reader].operation)
          }
        }
        if left.count == nodes.count { return left }
        nodes = left
      }
    }
    /// Whether a linear layer's weights are its own: those behind a normalisation hold its gamma.
    func isPlain(_ input: Int) -> Bool {
      switch model.nodes[input].operation {
      case .layerNorm, .rmsNorm: false
      default: true
      }
    }
    centred = largest {
      if case .layerNorm(_, let settings) = $0 { settings.groupCount == 1 } else { false }
    } isSource: { index in
      switch model.nodes[index].operation {
      case .embed(_, _, _, let segments): segments == nil && recipe.embedding == .secret
      case .linear(let input, _, _): isPlain(input)
      default: false
      }
    }
    narrow = largest {
      switch $0 {
      case .rmsNorm(_, let settings): settings.groupCount == 1
      default: false
      }
    } isSource: { index in
      switch model.nodes[index].operation {
      case .embed: true
      case .linear(let input, _, _): isPlain(input)
      default: false
      }
    }
    narrow.formUnion(centred)
    narrow = narrow.filter { index in
      if case .add = model.nodes[index].operation { true } else { false }
    }
  }
}

extension Lowering {
  /// The sum of a narrow stream that node `index` is added to, if it is its only reader.
  func narrowSum(of index: Int) -> Int? {
    let readers = consumers(of: index)
    guard let sum = readers.first, readers.count == 1, stream.narrow.contains(sum) else {
      return nil
    }
    return sum
  }

  /// Ring bits above the point of all sums of the narrow stream that `sum` is in: what its
  /// normalisations open of them must be seen in the whole ring again.
  func residualRoom(_ sum: Int) throws(InputError) -> Int {
    var most = 0
    for index in stream.narrow {
      most = max(most, magnitudeBits(2 * (try outputBound(index))) + 2)
    }
    return most
  }
}
