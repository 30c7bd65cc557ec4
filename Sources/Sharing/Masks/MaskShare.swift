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
    case .blocks(let masks):
      guard !range.isEmpty else { return [] }
      let width = masks.rowWidth
      let rows = range.lowerBound / width..<(range.upperBound - 1) / width + 1
      return Array(
        masks.words(rows: rows)[
          range.lowerBound - rows.lowerBound * width..<range.upperBound - rows.lowerBound * width])
    }
  }
}

extension SecureProgram {
  /// A party's share of the mask of what node `node` opens: see `SessionStreams.mask`.
  public func maskShare(
    node: Int, _ streams: SessionStreams, comparisonKey: [UInt8], ofResult permuted: Int? = nil
  ) -> MaskShare {
    guard case .openBlocks(let x, _) = nodes[node].operation,
      case .blocks(let columns) = values[x].shape.columns
    else { return .stream(streams.mask(node: node, ofResult: permuted)) }
    return .blocks(streams.blockMasks(node: node, columns, comparisonKey: comparisonKey))
  }
}
