// Blocks of neurons that fire together.

/// A division of the neurons that stay into blocks of equal width.
public struct NeuronBlocks: Equatable, Sendable {
  /// The neurons that stay, block after block.
  public var order: [Int]
  public var width: Int

  public var count: Int { order.count / width }

  /// The block of each neuron; nil for one that is removed.
  func blocks(neuronCount: Int) -> [Int?] {
    var result = [Int?](repeating: nil, count: neuronCount)
    for (place, neuron) in order.enumerated() { result[neuron] = place / width }
    return result
  }
}

extension Activity {
  /// Greedy clusters of `width` neurons: a block begins with the neuron that fires most often of
  /// those left, and takes the one with the largest mean Jaccard similarity to its members
  /// (positions at which both fire over those at which either does) until it is full.
  ///
  /// Neurons that never fire are removed, and the rarest that would not fill a block.
  public func blocks(width: Int) -> NeuronBlocks {
    precondition(width > 0, "a block has neurons")
    let byRate = counts.indices.sorted { (counts[$0], $1) > (counts[$1], $0) }
    let firing = counts.count { $0 > 0 }
    let kept = byRate.prefix(firing / width * width)
    let positions = positions()
    let sizes = positions.map { $0.reduce(0) { $0 + $1.nonzeroBitCount } }
    var left = [Bool](repeating: false, count: neuronCount)
    for neuron in kept { left[neuron] = true }
    var order: [Int] = []
    for first in kept where left[first] {
      var block = [first]
      left[first] = false
      var similarity = [Double](repeating: 0, count: neuronCount)
      while block.count < width {
        let newest = block[block.count - 1]
        var best: Int?
        for neuron in kept where left[neuron] {
          var both = 0
          for word in positions[newest].indices {
            both += (positions[newest][word] & positions[neuron][word]).nonzeroBitCount
          }
          let either = sizes[newest] + sizes[neuron] - both
          if either > 0 { similarity[neuron] += Double(both) / Double(either) }
          if best.map({ similarity[neuron] > similarity[$0] }) ?? true { best = neuron }
        }
        guard let best else { break }
        block.append(best)
        left[best] = false
      }
      order += block.sorted()
    }
    return NeuronBlocks(order: order, width: width)
  }
}
