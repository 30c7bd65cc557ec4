// Reader of GGUF 2 and 3 (ggml's docs/gguf.md): typed metadata, tensor infos, aligned data.

public import Bytes

/// A memory-mapped GGUF file under its own tensor names; shapes are row-major, the last axis
/// fastest.
public struct GGUF: TensorSource {
  static let signature = Array("GGUF".utf8)
  /// Where the metadata begin.
  static let metadataOffset = 24
  static let maximumEntryCount = 1 << 16
  static let maximumTensorCount = 1 << 18
  static let maximumKeyByteCount = 1 << 16
  static let maximumNameByteCount = 1 << 10
  static let maximumRank = 4
  private static let alignmentKey = "general.alignment"
  private static let defaultAlignment = 32

  /// 2 or 3.
  public let version: Int
  public let metadata: [String: GGUFValue]
  public private(set) var tensors: [TensorDescription]
  private let file: MappedFile
  private let indices: [String: Int]
  /// Tensors of this file.
  private let own: [TensorDescription]
  /// The further files of a model in several, each with tensors of its own.
  private var parts: [GGUF] = []
  /// Bytes at which metadata entries and tensor infos begin, by key and by name.
  let keyOffsets: [String: Int]
  let infoOffsets: [String: Int]

  public var path: String { file.path }
  public var formatName: String { parts.isEmpty ? "GGUF" : "GGUF, \(parts.count + 1) parts" }

  /// Maps the file and checks metadata and tensor infos; weights are not touched.
  /// - Throws: `InputError` with the byte at fault; unread types of tensors are named together.
  public init(path: String) throws(InputError) {
    let file = try MappedFile(path: path)
    var cursor = ByteCursor(file)
    guard try file.bytes(in: cursor.skip(4, "signature")) == GGUF.signature else {
      throw InputError(path, offset: 0, "is not a GGUF file")
    }
    version = try GGUF.version(&cursor)
    let tensorCount = try cursor.integer(UInt64.self, "tensor count")
    guard tensorCount <= UInt64(min(GGUF.maximumTensorCount, file.byteCount)) else {
      throw cursor.failure("\(tensorCount) tensors are more than is read", at: 8)
    }
    let entryCount = try cursor.integer(UInt64.self, "metadata count")
    guard entryCount <= UInt64(min(GGUF.maximumEntryCount, file.byteCount)) else {
      throw cursor.failure("\(entryCount) metadata entries are more than is read", at: 16)
    }
    (metadata, keyOffsets) = try GGUF.metadata(&cursor, count: Int(entryCount))
    let alignment = try GGUF.alignment(metadata, keyOffsets, path: path)
    var infos: [GGUFTensorInfo] = []
    for _ in 0..<tensorCount { infos.append(try GGUFTensorInfo(&cursor)) }
    own = try GGUF.tensors(infos, cursor, alignment: alignment).sorted { $0.name < $1.name }
    tensors = own
    infoOffsets = Dictionary(
      infos.map { ($0.name, $0.start) }, uniquingKeysWith: { first, _ in first })
    indices = Dictionary(
      uniqueKeysWithValues: own.enumerated().map { ($0.element.name, $0.offset) })
    self.file = file
  }

  public func tensor(_ name: String) throws(InputError) -> TensorDescription {
    guard let index = indices[name] else {
      for part in parts where part.indices[name] != nil { return try part.tensor(name) }
      throw unknownTensor(name)
    }
    return own[index]
  }

  public func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    guard indices[name] != nil else {
      for part in parts where part.indices[name] != nil {
        return try part.floats(name, in: elements)
      }
      throw unknownTensor(name)
    }
    return try floats(of: tensor(name), in: elements, from: file)
  }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    guard indices[name] != nil else {
      for part in parts where part.indices[name] != nil {
        return try part.storedWords(name, in: elements)
      }
      throw unknownTensor(name)
    }
    return try storedWords(of: tensor(name), in: elements, from: file)
  }

  /// This file, the first of several, together with the others.
  func joined(with others: [GGUF]) -> GGUF {
    var result = self
    result.parts = others
    result.tensors = ([self] + others).flatMap(\.own).sorted { $0.name < $1.name }
    return result
  }

  private static func version(_ cursor: inout ByteCursor) throws(InputError) -> Int {
    let version = try cursor.integer(UInt32.self, "version")
    guard version != version & 0xffff_0000 else {
      throw cursor.failure("big-endian GGUF files are not read", at: 4)
    }
    guard version == 2 || version == 3 else {
      throw cursor.failure("GGUF version \(version) is not read, only 2 and 3 are", at: 4)
    }
    return Int(version)
  }

  private static func metadata(_ cursor: inout ByteCursor, count: Int) throws(InputError)
    -> (values: [String: GGUFValue], offsets: [String: Int])
  {
    var values: [String: GGUFValue] = [:]
    var offsets: [String: Int] = [:]
    for _ in 0..<count {
      let start = cursor.position
      let key = try text(&cursor, "key", atMost: maximumKeyByteCount)
      let value = try GGUFValue(&cursor, key: key)
      guard values.updateValue(value, forKey: key) == nil else {
        throw cursor.failure("key \"\(key)\" is there twice", at: start)
      }
      offsets[key] = start
    }
    return (values, offsets)
  }

  private static func alignment(
    _ metadata: [String: GGUFValue], _ offsets: [String: Int], path: String
  ) throws(InputError) -> Int {
    guard let value = metadata[alignmentKey], let offset = offsets[alignmentKey] else {
      return defaultAlignment
    }
    guard case .integer(let alignment) = value, (1...1 << 20).contains(alignment),
      alignment.nonzeroBitCount == 1
    else {
      throw InputError(
        path, place: alignmentKey, offset: offset, "is not a power of two up to 2^20")
    }
    return alignment
  }

  /// A length and that many bytes of UTF-8.
  static func text(_ cursor: inout ByteCursor, _ what: String, atMost limit: Int)
    throws(InputError) -> String
  {
    let start = cursor.position
    let count = try cursor.integer(UInt64.self, "length of a \(what)")
    guard count <= UInt64(limit) else {
      throw cursor.failure("a \(what) of \(count) bytes, at most \(limit) are read", at: start)
    }
    return try cursor.text(byteCount: Int(count), what)
  }

  /// - Parameter cursor: behind the last of `infos`.
  private static func tensors(_ infos: [GGUFTensorInfo], _ cursor: ByteCursor, alignment: Int)
    throws(InputError) -> [TensorDescription]
  {
    var problems = ProblemList()
    var typed: [(info: GGUFTensorInfo, type: ElementType)] = []
    var names: Set<String> = []
    for info in infos {
      guard names.insert(info.name).inserted else {
        throw cursor.failure("a second tensor is named \"\(info.name)\"", at: info.start)
      }
      guard let type = info.type else {
        problems.add(info.name, ": byte \(info.start): type \(info.typeName) is not read")
        continue
      }
      typed.append((info, type))
    }
    try problems.check(
      source: cursor.file.path,
      hint: "convert it to one of F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K")
    let dataStart = (cursor.position + alignment - 1) & ~(alignment - 1)
    guard typed.isEmpty || dataStart <= cursor.end else {
      throw cursor.failure("the data would begin at byte \(dataStart), the file ends before")
    }
    var result: [TensorDescription] = []
    for (info, type) in typed {
      result.append(
        try info.description(
          type: type, data: min(dataStart, cursor.end)..<cursor.end, alignment: alignment, cursor))
    }
    let ordered = result.filter { !$0.byteRange.isEmpty }
      .sorted { $0.byteRange.lowerBound < $1.byteRange.lowerBound }
    for (first, second) in zip(ordered, ordered.dropFirst())
    where second.byteRange.lowerBound < first.byteRange.upperBound {
      throw cursor.failure(
        "tensors \"\(first.name)\" and \"\(second.name)\" overlap", at: second.byteRange.lowerBound)
    }
    return result
  }
}
