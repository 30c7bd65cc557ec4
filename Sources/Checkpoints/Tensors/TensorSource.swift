// The seam between file formats and the models: named tensors, read in parts of any size.

public import Bytes

/// A checkpoint file of some format whose header has been read and checked.
public protocol TensorSource: Sendable {
  /// Path of the file that holds the tensors, or of the index that names their files.
  var path: String { get }
  /// Name of the format for reports, such as "safetensors".
  var formatName: String { get }
  /// Every tensor, sorted by name; names are unique.
  var tensors: [TensorDescription] { get }

  /// Other names of tensors, where the file tells them: the stored name by the other.
  var aliases: [String: String] { get }
  /// What the user should know about what is read of the file.
  var notices: [String] { get }

  /// What is known of the tensor `name`.
  /// - Throws: `InputError` for an unknown name.
  func tensor(_ name: String) throws(InputError) -> TensorDescription

  /// The elements `elements` of the tensor `name`, counted row-major; exact, except that F64 is
  /// rounded to nearest and quantised blocks are computed in `Float` as ggml does.
  ///
  /// Memory is that of the result and what the format cannot take apart, such as a compressed
  /// chunk. Elements outside the tensor are misuse and trap.
  /// - Throws: `InputError` for an unknown name, for a type that is no weight, and for infinities
  ///   and NaN, naming the tensor and the index.
  func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float]

  /// The 16-bit words of the elements `elements` of the tensor `name`, counted row-major, or nil where
  /// its type is neither F16 nor BF16 or the file does not hold them in this order.
  /// - Throws: as `floats(_:in:)` does.
  func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]?
}

extension TensorSource {
  public var aliases: [String: String] { [:] }
  public var notices: [String] { [] }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    nil
  }

  /// All elements of the tensor `name`, row-major; throws as `floats(_:in:)` does.
  public func floats(_ name: String) throws(InputError) -> [Float] {
    try floats(name, in: 0..<tensor(name).elementCount)
  }

  /// The error for a name that is not among `tensors`.
  func unknownTensor(_ name: String) -> InputError {
    InputError(path, place: name, "there is no such tensor")
  }

  /// Elements `elements` of `tensor`, which lie in its range of `file` without gaps.
  /// - Throws: `InputError` where its type is no weight or an element is not finite.
  func floats(of tensor: TensorDescription, in elements: Range<Int>, from file: MappedFile)
    throws(InputError) -> [Float]
  {
    // Blocks that `elements` touch; all of those before the last are whole.
    let block = tensor.type.blockElementCount
    let blocks = elements.lowerBound / block..<(elements.upperBound + block - 1) / block
    let size = tensor.type.byteCount
    let start = tensor.byteRange.lowerBound
    let bytes = start + blocks.lowerBound * size..<start + blocks.upperBound * size
    let converted = file.withBytes {
      FloatConversion.floats(
        $0.extracting(bytes), type: tensor.type, count: blocks.count * block)
    }
    file.release(bytes)
    let first = elements.lowerBound - blocks.lowerBound * block
    guard var converted, first > 0 || converted.values.count > elements.count else {
      return try checked(converted, of: tensor, from: elements.lowerBound, isContiguous: true)
    }
    converted.values = Array(converted.values[first..<first + elements.count])
    return try checked(converted, of: tensor, from: elements.lowerBound, isContiguous: true)
  }

  /// The words of elements `elements` of `tensor`, which lie in its range of `file` without gaps.
  func storedWords(
    of tensor: TensorDescription, in elements: Range<Int>, from file: MappedFile
  ) throws(InputError) -> [UInt16]? {
    let size = tensor.type.byteCount
    let start = tensor.byteRange.lowerBound
    let bytes = start + elements.lowerBound * size..<start + elements.upperBound * size
    guard tensor.type.blockElementCount == 1,
      let stored = file.withBytes({
        FloatConversion.words($0.extracting(bytes), type: tensor.type)
      })
    else { return nil }
    file.release(bytes)
    if let index = stored.firstNonFinite {
      throw notFinite(tensor, elements.lowerBound + index, isContiguous: true)
    }
    return stored.words
  }

  /// `bytes` as the elements of `tensor` from index `first` on.
  func converted(_ bytes: [UInt8], as tensor: TensorDescription, from first: Int)
    throws(InputError) -> [Float]
  {
    let converted = unsafe bytes.withUnsafeBytes {
      FloatConversion.floats(
        unsafe $0.bytes, type: tensor.type, count: bytes.count / tensor.type.byteCount)
    }
    return try checked(converted, of: tensor, from: first)
  }

  /// The values of `converted`, the elements of `tensor` from index `first` on, unless they are nil because the type
  /// is no weight, or one is not finite.
  /// - Parameter isContiguous: whether the elements fill the tensor's range of the file in their
  ///   order, so that the byte of each is known.
  func checked(
    _ converted: FloatConversion.Converted?, of tensor: TensorDescription, from first: Int,
    isContiguous: Bool = false
  ) throws(InputError) -> [Float] {
    guard let converted else {
      throw InputError(
        path, place: tensor.name, "elements of type \(tensor.type.rawValue) are not read as weights"
      )
    }
    if !converted.isFinite, let index = converted.values.firstIndex(where: { !$0.isFinite }) {
      throw notFinite(tensor, first + index, isContiguous: isContiguous)
    }
    return converted.values
  }

  private func notFinite(_ tensor: TensorDescription, _ element: Int, isContiguous: Bool)
    -> InputError
  {
    let number = tensor.type == .float64 ? "32-bit number" : "number"
    let error = InputError(
      path, place: tensor.name, "element \(element) is not a finite \(number)")
    let block = element / tensor.type.blockElementCount
    return isContiguous
      ? error.located(at: tensor.byteRange.lowerBound + block * tensor.type.byteCount) : error
  }
}
