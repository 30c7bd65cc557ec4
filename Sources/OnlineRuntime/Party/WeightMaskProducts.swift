// What a party adds to the shares of a blind dealer: D times its share of the mask.

package import Bytes
import Correlations
package import Program
import Randomness
import Rings
package import Sharing

/// Products of the masks D of weights with a party's shares of the masks of a session, for all its rows.
///
/// W r = U r + D [r]_0 + D [r]_1: the dealer gives shares of U r, and each party adds its own product.
/// Nothing of it depends on an input, so it is computed before a session begins.
package struct WeightMaskProducts {
  private let masks: WeightMasks
  private let program: SecureProgram
  /// See `SecureProgram.maskOpeners`.
  private let openers: [ValueID: Int]
  private let silent: [Int: Int]

  /// Most words of D that are in memory at a time.
  private static let partWordCount = 4 << 20

  package init(masks: WeightMasks, program: SecureProgram) {
    silent = program.silentOpenings
    self.masks = masks
    self.program = program
    openers = program.maskOpeners
  }

  /// D [r]_p of node `index` in the dealt layout; nil where it has no product with a weight.
  package func words(
    node index: Int, session: SessionShape, streams: SessionStreams, comparisonKey: [UInt8]
  ) throws(InputError) -> [UInt64]? {
    func mask(of x: ValueID) -> [UInt64] {
      guard let node = openers[x] else { return [] }
      return program.maskShare(
        node: node, streams, session, comparisonKey: comparisonKey, ofResult: silent[node]
      ).words(
        in: 0..<session.dealtCount(program.values[x].shape))
    }
    switch program.nodes[index].operation {
    case .linear(let x, let id), .blockLinear(let x, _, let id):
      let weight = program.weights[id]
      let rowCount = session.dealtRowCount(program.values[x].shape.rows)
      let mask = mask(of: x)
      let stream = masks.stream(id)
      return try weight.product(
        rowCount: rowCount, elementBits: 64, partWordCount: WeightMaskProducts.partWordCount,
        arm: .best
      ) { columns in
        RingOperand(
          mask, offset: columns.lowerBound, rows: rowCount, columns: columns.count,
          stride: weight.inputCount)
      } elements: { range in
        stream.words(at: range.lowerBound, count: range.count)
      }
    case .scale(let x, let id):
      let columns = masks.stream(id).words(at: 0, count: program.weights[id].columnCount)
      return program.weights[id].scaled(mask(of: x), columns)
    default: return nil
    }
  }
}
