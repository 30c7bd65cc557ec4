// Reader of the safetensors format: a length, a JSON header, and the tensors' bytes without gaps.

public import Bytes

/// A memory-mapped safetensors file whose header obeys every rule of the format.
public struct Safetensors: TensorSource {
  /// Longest header that is read, a hundred times that of models with a thousand tensors.
  public static let maximumHeaderByteCount = 16 << 20

  public let tensors: [TensorDescription]
  /// The texts under `__metadata__`, such as "format": "pt".
  public let metadata: [String: String]
  private let file: MappedFile
  private let indices: [String: Int]

  public var path: String { file.path }
  public var formatName: String { "safetensors" }

  /// Maps the file and checks its header before anything else of it is used.
  /// - Throws: `InputError` naming the tensor or the byte at fault.
  public init(path: String) throws(InputError) {
    let file = try MappedFile(path: path)
    let header = try SafetensorsHeader(file)
    self.file = file
    self.tensors = header.tensors.sorted { $0.name < $1.name }
    self.metadata = header.metadata
    self.indices = Dictionary(
      uniqueKeysWithValues: tensors.enumerated().map { ($0.element.name, $0.offset) })
  }

  /// Tensors that were stored once under one of their names, as writers of shared ones do.
  public var aliases: [String: String] {
    metadata.filter { indices[$0.key] == nil && indices[$0.value] != nil }
  }

  public func tensor(_ name: String) throws(InputError) -> TensorDescription {
    guard let index = indices[name] else { throw unknownTensor(name) }
    return tensors[index]
  }

  /// The elements of the tensor `name`, or nil where they are no integers of 32 or 64 bits.
  /// - Throws: `InputError` for an unknown name.
  package func integers(_ name: String) throws(InputError) -> [Int]? {
    let tensor = try tensor(name)
    var cursor = ByteCursor(file, in: tensor.byteRange)
    var result: [Int] = []
    for _ in 0..<tensor.elementCount {
      switch tensor.type {
      case .int32: result.append(Int(try cursor.integer(Int32.self, name)))
      case .int64: result.append(Int(try cursor.integer(Int64.self, name)))
      default: return nil
      }
    }
    return result
  }

  public func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    try floats(of: tensor(name), in: elements, from: file)
  }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    try storedWords(of: tensor(name), in: elements, from: file)
  }
}
