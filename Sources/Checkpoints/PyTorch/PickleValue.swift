// What the restricted unpickler can make: plain values, containers, and tensors of named storages.

/// A value on the unpickler's stack; containers are indices into its arena, so that no value owns
/// another and neither depth nor cycles cost anything.
enum PickleValue: Equatable, Sendable {
  case none
  case bool(Bool)
  case integer(Int)
  case real(Double)
  case text(String)
  case global(PickleGlobal)
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case storage(Int)
  case tensor(Int)

  /// What to call it in an error.
  var kind: String {
    switch self {
    case .none: "None"
    case .bool: "a boolean"
    case .integer: "an integer"
    case .real: "a number"
    case .text: "a string"
    case .global(let global): "the global \(global.name)"
    case .tuple: "a tuple"
    case .list: "a list"
    case .dictionary: "a dictionary"
    case .storage: "a storage"
    case .tensor: "a tensor"
    }
  }
}

/// The globals that a pickle may name; nothing of Python's is ever called.
enum PickleGlobal: Equatable, Sendable {
  case orderedDictionary
  case rebuildTensor
  case rebuildParameter
  /// The same with Python attributes, which are dropped.
  case rebuildParameterWithState
  /// Another of these calls for a type of tensors, with attributes.
  case rebuildFromType
  /// A type that adds nothing to the elements.
  case plainType
  case size
  case storage(ElementType)
  /// Bytes whose type the tensors name.
  case untypedStorage
  /// Such as `torch.float32`, an argument of metadata.
  case elementType(String)

  /// By module and name, as the opcode GLOBAL has them.
  private static let allowed: [String: PickleGlobal] = {
    var result: [String: PickleGlobal] = [
      "collections OrderedDict": .orderedDictionary,
      "torch._utils _rebuild_tensor_v2": .rebuildTensor,
      "torch._utils _rebuild_parameter": .rebuildParameter,
      "torch._utils _rebuild_parameter_with_state": .rebuildParameterWithState,
      "torch._tensor _rebuild_from_type_v2": .rebuildFromType,
      "torch Tensor": .plainType,
      "torch.nn.parameter Parameter": .plainType,
      "torch.nn.parameter Buffer": .plainType,
      "torch Size": .size,
      "torch UntypedStorage": .untypedStorage,
      "torch.storage UntypedStorage": .untypedStorage,
    ]
    let storages: [(String, ElementType)] = [
      ("Double", .float64), ("Float", .float32), ("Half", .float16), ("BFloat16", .bfloat16),
      ("Long", .int64), ("Int", .int32), ("Short", .int16), ("Char", .int8), ("Byte", .uint8),
      ("Bool", .bool),
    ]
    for (name, type) in storages { result["torch \(name)Storage"] = .storage(type) }
    for name in [
      "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
      "bool",
    ] { result["torch \(name)"] = .elementType(name) }
    return result
  }()

  init?(module: String, name: String) {
    guard let global = PickleGlobal.allowed["\(module) \(name)"] else { return nil }
    self = global
  }

  var name: String {
    PickleGlobal.allowed.first { $0.value == self }?.key.replacing(" ", with: ".") ?? ""
  }
}

/// A storage that a pickle refers to: `elementCount` elements in the archive's entry data/`key`.
struct PickleStorage: Equatable, Sendable {
  var key: String
  var type: ElementType
  var elementCount: Int
}

/// One member of a dictionary, and the byte of the opcode that put it there.
struct PickleMember: Equatable, Sendable {
  var key: PickleValue
  var value: PickleValue
  var start: Int
}

/// A view of a storage; offset and strides count elements.
struct PickleTensor: Equatable, Sendable {
  /// Byte of the opcode that made it.
  var start: Int
  var storage: Int
  var offset: Int
  var shape: [Int]
  var strides: [Int]

  /// Elements of the storage from the first to the last that the view reaches; nil where that
  /// overflows. The range of a view without elements is empty.
  var span: Range<Int>? {
    guard !shape.contains(0) else { return offset..<offset }
    var last = offset
    for (length, stride) in zip(shape, strides) {
      let (reach, overflow) = (length - 1).multipliedReportingOverflow(by: stride)
      let (sum, sumOverflow) = last.addingReportingOverflow(reach)
      guard !overflow, !sumOverflow else { return nil }
      last = sum
    }
    let (end, overflow) = last.addingReportingOverflow(1)
    return overflow ? nil : offset..<end
  }

  /// Whether the elements lie in row-major order without gaps.
  var isContiguous: Bool {
    var expected = 1
    for (length, stride) in zip(shape, strides).reversed() where length != 1 {
      guard stride == expected else { return false }
      // Overflows only where another length is 0 and nothing is read.
      expected &*= length
    }
    return true
  }
}
