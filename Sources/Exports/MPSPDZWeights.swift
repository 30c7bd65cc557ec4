// Shares of weights as MP-SPDZ's programs read them (sfix.read_from_file), semi2k over 64 bits.

public import Bytes
import Models

/// Writes each party's `Persistence/Transactions-PN.data`: all weights, one share after the other.
public struct MPSPDZWeights {
  /// MP-SPDZ's own default of sfix.
  public static let defaultFractionalBits = 16

  private let shares: FixedPointShares

  public init(_ shares: FixedPointShares) { self.shares = shares }

  /// Writes into `folder`: `partyN/index.json` says where each weight starts, counted in shares.
  ///
  /// `publicParameters` go beside it as `public.json`; `progress` is told how many elements are done at
  /// a time.
  public func write(
    to folder: ExportFolder, publicParameters: JSON, progress: (Int) -> Void = { _ in }
  ) throws(InputError) {
    var entries: [String: JSON] = [:]
    var start = 0
    for shape in shares.weights {
      entries[shape.name] = .object([
        "shape": .array(shape.shape.map { .integer($0) }), "start": .integer(start),
        "count": .integer(shape.elementCount),
      ])
      start += shape.elementCount
    }
    let listing = JSON.object([
      "ring": .string("Z2^64"), "fractionalBits": .integer(shares.fractionalBits),
      "weights": .object(entries),
    ])
    try folder.write([
      MPSPDZFormat.persistence, { _ in "index.json" }, { _ in "public.json" },
    ]) { () throws(InputError) in
      try folder.writePair(MPSPDZFormat.persistence) { (append) throws(InputError) in
        try append([MPSPDZFormat.header, MPSPDZFormat.header])
        for (index, shape) in shares.weights.enumerated() {
          try shares.forEachPart(of: index, 0..<shape.elementCount) { (words) throws(InputError) in
            try append(words.map(\.littleEndianBytes))
            progress(words[0].count)
          }
        }
      }
      try folder.writePair("public.json", publicParameters)
      try folder.writePair("index.json", listing)
    }
  }
}
