// A party's share of the mask of an opened value: a stream, or trees over the blocks of its rows.

public import Program
public import Randomness

/// A party's share of a mask.
public enum MaskShare: Sendable {
  case stream(RandomStream)
  case blocks(BlockMasks)

  /// Elements `range` of the dealt layout.
  public func words(in range: Range<Int>) -> [UInt64] {
    switch self {
    case .stream(let stream): return stream.words(at: range.lowerBound, count: range.count)
    case .blocks(let masks): return masks.words(in: range)
    }
  }
}

extension SecureProgram {
  /// A party's share of the mask of what node `node` opens in a session of shape `session`: see
  /// `SessionStreams.mask`.
  public func maskShare(
    node: Int, _ streams: SessionStreams, _ session: SessionShape, comparisonKey: [UInt8],
    ofResult permuted: Int? = nil
  ) -> MaskShare {
    guard case .openBlocks(let x, _) = nodes[node].operation,
      let masks = streams.blockMasks(
        node: node, values[x].shape.columns, session, comparisonKey: comparisonKey)
    else { return .stream(streams.mask(node: node, ofResult: permuted)) }
    return .blocks(masks)
  }
}
