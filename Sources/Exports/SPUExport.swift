// Shares of weights as SPU's runtimes take them (spu.Runtime.set_var), SEMI2K over 64 bits.

public import Bytes
import Models

/// Writes each party's `Share` of every weight: `meta` and `share_chunks` as files of their own.
///
/// A share's `meta` is a ValueMetaProto {data_type DT_F32, visibility VIS_SECRET, shape, storage_type
/// "semi2k.AShr<FM64>"}, each chunk a ValueChunkProto {total_bytes, chunk_offset, content}, whose
/// contents are little-endian words, row-major. Fraction bits stand in no share: a runtime gets them as
/// `fxp_fraction_bits` (secretflow/spu, libspu/spu.proto).
public struct SPUExport {
  /// SPU's own default for values mod 2^64.
  public static let defaultFractionalBits = 18
  /// Words of a chunk: 64 MiB, half of what SPU's writers put into one.
  static let chunkWordCount = 1 << 23

  private let shares: FixedPointShares
  private let chunkWordCount: Int

  public init(_ shares: FixedPointShares) {
    self.init(shares, chunkWordCount: SPUExport.chunkWordCount)
  }

  package init(_ shares: FixedPointShares, chunkWordCount: Int) {
    self.shares = shares
    self.chunkWordCount = chunkWordCount
  }

  /// Writes into `folder`: `partyN/index.json` lists the files of party N's shares by weight.
  ///
  /// `publicParameters` go beside it as `public.json`; `progress` is told how many elements are done at
  /// a time.
  public func write(
    to folder: ExportFolder, publicParameters: JSON, progress: (Int) -> Void = { _ in }
  ) throws(InputError) {
    let chunks = shares.weights.map { shape in
      stride(from: 0, to: max(shape.elementCount, 1), by: chunkWordCount).map {
        $0..<min($0 + chunkWordCount, shape.elementCount)
      }
    }
    var names: [String] = []
    var entries: [String: JSON] = [:]
    for (index, shape) in shares.weights.enumerated() {
      let chunkNames = chunks[index].indices.map { "\(shape.name).chunk\($0)" }
      names += ["\(shape.name).meta"] + chunkNames
      entries[shape.name] = .object([
        "shape": .array(shape.shape.map { .integer($0) }), "meta": .string("\(shape.name).meta"),
        "chunks": .array(chunkNames.map { .string($0) }),
      ])
    }
    let listing = JSON.object([
      "protocol": .string("SEMI2K"), "field": .string("FM64"),
      "fractionalBits": .integer(shares.fractionalBits), "weights": .object(entries),
    ])
    try folder.write((names + ["index.json", "public.json"]).map { name in { _ in name } }) {
      () throws(InputError) in
      for (index, shape) in shares.weights.enumerated() {
        let meta = SPUExport.meta(shape.shape)
        try folder.writePair({ _ in "\(shape.name).meta" }) { (append) throws(InputError) in
          try append([meta, meta])
        }
        for (number, chunk) in chunks[index].enumerated() {
          let head = SPUExport.chunkHead(
            totalByteCount: 8 * shape.elementCount, offset: 8 * chunk.lowerBound,
            byteCount: 8 * chunk.count)
          try folder.writePair({ _ in "\(shape.name).chunk\(number)" }) {
            (append) throws(InputError) in
            try append([head, head])
            try shares.forEachPart(of: index, chunk) { (words) throws(InputError) in
              try append(words.map(\.littleEndianBytes))
              progress(words[0].count)
            }
          }
        }
      }
      try folder.writePair("public.json", publicParameters)
      try folder.writePair("index.json", listing)
    }
  }

  /// A ValueMetaProto of a secret tensor of floats.
  static func meta(_ shape: [Int]) -> [UInt8] {
    var dimensions = ProtobufMessage()
    dimensions.append(1, bytes: shape.flatMap { ProtobufMessage.variableLength($0) })
    var message = ProtobufMessage()
    message.append(1, 11)  // DT_F32
    message.append(3, 1)  // VIS_SECRET
    message.append(4, bytes: dimensions.bytes)
    message.append(5, bytes: Array("semi2k.AShr<FM64>".utf8))
    return message.bytes
  }

  /// A ValueChunkProto up to its content, which follows.
  static func chunkHead(totalByteCount: Int, offset: Int, byteCount: Int) -> [UInt8] {
    var message = ProtobufMessage()
    message.append(1, totalByteCount)
    if offset > 0 { message.append(2, offset) }
    message.appendHead(3, byteCount: byteCount)
    return message.bytes
  }
}

/// The few forms of protocol buffers that shares need.
package struct ProtobufMessage {
  private(set) var bytes: [UInt8] = []

  /// A number of at least 0 as a varint.
  package static func variableLength(_ value: Int) -> [UInt8] {
    var result: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
      result.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    return result + [UInt8(rest)]
  }

  mutating func append(_ field: Int, _ value: Int) {
    bytes += ProtobufMessage.variableLength(field << 3) + ProtobufMessage.variableLength(value)
  }

  /// A field of bytes up to the bytes themselves.
  mutating func appendHead(_ field: Int, byteCount: Int) {
    bytes += ProtobufMessage.variableLength(field << 3 | 2)
    bytes += ProtobufMessage.variableLength(byteCount)
  }

  mutating func append(_ field: Int, bytes content: [UInt8]) {
    appendHead(field, byteCount: content.count)
    bytes += content
  }
}
