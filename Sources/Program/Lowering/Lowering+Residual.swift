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
  /// Sums, and secret embeddings, that only normalisations and such sums read.
  var narrow: Set<Int> = []

  init() {}

  /// - Parameter isExact: Of a node with a normalisation, whether it is taken by its variance.
  init(_ model: Model, recipe: Recipe, isExact: (Int) -> Bool) {
    func operation(_ index: Int) -> ModelOperation { model.nodes[index].operation }
    let readers = model.nodes.indices.map { index in
      model.nodes.indices.filter { operation($0).inputs.contains(index) }
    }
    /// The largest part of `nodes` in which each has a reader, `isRead` holds of all readers, and
    /// `isMade` of the node itself.
    func largest(
      of nodes: [Int], isRead: (_ reader: Int, _ part: Set<Int>) -> Bool,
      isMade: (_ node: Int, _ part: Set<Int>) -> Bool
    ) -> Set<Int> {
      var part = Set(nodes)
      while true {
        let left = part.filter { index in
          !readers[index].isEmpty && isMade(index, part)
            && readers[index].allSatisfy { isRead($0, part) }
        }
        if left.count == part.count { return left }
        part = left
      }
    }
    func isSum(_ index: Int) -> Bool {
      if case .add = operation(index) { true } else { false }
    }
    centred = largest(of: Array(model.nodes.indices)) { reader, part in
      switch operation(reader) {
      case .layerNorm(_, let settings): settings.groupCount == 1
      case .add: part.contains(reader)
      default: false
      }
    } isMade: { index, part in
      switch operation(index) {
      case .embed(_, _, _, let segments): return segments == nil && recipe.embedding == .secret
      case .linear(let input, _, _):
        // The weights behind a normalisation hold its gamma.
        switch operation(input) {
        case .layerNorm, .rmsNorm: return false
        default: return true
        }
      case .add(let left, let right): return part.contains(left) && part.contains(right)
      default: return false
      }
    }
    func isSecretEmbedding(_ index: Int) -> Bool {
      if case .embed = operation(index) { recipe.embedding == .secret } else { false }
    }
    let starts = model.nodes.indices.filter { isSum($0) || isSecretEmbedding($0) }
    narrow = largest(of: starts) { reader, part in
      switch operation(reader) {
      case .layerNorm(_, let settings), .rmsNorm(_, let settings):
        settings.groupCount == 1 && isExact(reader)
      default: part.contains(reader)
      }
    } isMade: { _, _ in
      true
    }
  }
}

extension Lowering {
  /// The sum of both values: the residual stream keeps twice the usual fractional bits, so that it is
  /// never truncated.
  mutating func residual(_ index: Int, _ left: FixedValue, _ right: FixedValue)
    throws(InputError) -> FixedValue
  {
    let bound = try outputBound(index)
    let mostBits = max(left.bits, right.bits)
    // What party 1 sees of a sum is shortened for nothing.
    let keepsBits = isSeenShortened(index) && builder.fits(bits: mostBits, bound: bound)
    func narrowed(_ value: FixedValue) throws(InputError) -> FixedValue {
      value.bits > 2 * bits && !keepsBits ? try builder.rescale(value, to: 2 * bits) : value
    }
    return try builder.add(narrowed(left), narrowed(right), bound: bound)
  }

  /// Whether node `index` is a sum of which party 1 sees what it needs, and nothing else reads it.
  func isSeenAlone(_ index: Int) -> Bool {
    stream.narrow.contains(index) && consumers(of: index).allSatisfy(isPermuted)
  }

  /// Whether party 1 sees what it needs of node `index` of the narrow stream and of all sums that it is a
  /// part of, and nothing else reads any of them.
  func isSeenShortened(_ index: Int) -> Bool {
    stream.narrow.contains(index)
      && consumers(of: index).allSatisfy {
        isPermuted($0) || isResidual($0) && isSeenShortened($0)
      }
  }

  /// The sum of a narrow stream that node `index` is added to, if it is its only reader.
  func narrowSum(of index: Int) -> Int? {
    let readers = consumers(of: index)
    guard let sum = readers.first, readers.count == 1, stream.narrow.contains(sum) else {
      return nil
    }
    return sum
  }

  /// The linear layer that alone reads node `index` and adds to the narrow stream.
  func streamReader(of index: Int) -> Int? {
    let readers = readers(of: index)
    guard readers.count == 1, let reader = readers.first,
      case .linear = model.nodes[reader].operation, narrowSum(of: reader) != nil
    else { return nil }
    return reader
  }

  /// Ring bits above the point that linear layer `index`, which adds to the narrow stream, needs.
  func streamRoom(of index: Int) throws(InputError) -> Int {
    let sum = try narrowSum(of: index).map { (sum) throws(InputError) in try room(from: sum) } ?? 0
    return max(sum, magnitudeBits(try outputBound(index)) + 2)
  }

  /// Ring bits above the point that narrow node `index` and the sums that it is a part of need: what
  /// normalisations open of them must be seen in the whole ring again, in some after the mean was taken
  /// off it exactly.
  func room(from index: Int) throws(InputError) -> Int {
    var most = 0
    var open = [index]
    var seen: Set<Int> = []
    while let index = open.popLast() {
      guard seen.insert(index).inserted else { continue }
      most = max(most, try ownRoom(of: index))
      open += consumers(of: index).filter(stream.narrow.contains)
    }
    // Of few different tokens nothing is concluded.
    return calibration.isScant(for: model) ? most + 3 : most
  }

  /// The same for narrow node `index` by itself.
  private func ownRoom(of index: Int) throws(InputError) -> Int {
    let bound = try outputBound(index)
    let width = Double(model.nodes[index].width)
    var most = magnitudeBits(bound) + 2
    for reader in consumers(of: index) {
      // Party 1 takes the mean off in the clear, and no product needs the whole ring.
      if isPermuted(reader) {
        most = max(most, wholeBits(bound))
        continue
      }
      let settings: Normalisation
      var meanBits = 0
      switch model.nodes[reader].operation {
      case .layerNorm(_, let normalisation):
        settings = normalisation
        if !stream.centred.contains(index) { meanBits = magnitudeBits(width) }
      case .rmsNorm(_, let normalisation): settings = normalisation
      default: continue
      }
      let range = try calibration.normalisedRange(
        model.nodes[reader].name, epsilon: settings.epsilon, headroom: varianceHeadroom)
      let centred = min(2 * bound, (width * range.upperBound).squareRoot())
      most = max(most, magnitudeBits(centred) + 2 + meanBits)
    }
    return most
  }
}
