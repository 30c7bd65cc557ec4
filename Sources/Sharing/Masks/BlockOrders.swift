// The secret orders of blocks: which block of the model has which number in the program.

package import Program
package import Randomness

/// Permutations of blocks by the names of gates, drawn anew for each conversion.
///
/// Both parties see which numbered blocks run. The numbers tell them nothing of the model's neurons as
/// long as they do not find out the order.
package struct BlockOrders: Sendable {
  /// By gates: the model's block at each place.
  package let orders: [String: [Int]]

  /// Draws the orders of all gates of `program` from `seed`, which is used for nothing else.
  package init(_ program: SecureProgram, seed: Seed) {
    var sampler = PermutationSampler(
      RandomStream(
        seed: seed,
        label: StreamLabel(
          session: 0, party: 2, operation: 0, kind: StreamKind.blockOrder.rawValue, index: 0)))
    let gates = Set(
      program.weights.flatMap { [$0.source.rowBlocks, $0.source.columnBlocks].compactMap(\.self) })
    var orders: [String: [Int]] = [:]
    for order in gates.sorted(by: { $0.gates < $1.gates }) {
      orders[order.gates] = sampler.permutation(count: order.count).map(Int.init)
    }
    self.orders = orders
  }

  /// The model's row, or column, at place `index` of `count`.
  func original(_ index: Int, of count: Int, _ blocks: BlockOrder?) -> Int {
    guard let blocks, let order = orders[blocks.gates] else { return index }
    let width = count / blocks.count
    return order[index / width] * width + index % width
  }
}
