// The calls that a restricted pickle may ask for, interpreted: tensors, parameters, dictionaries.

import Bytes

extension Unpickler {
  /// REDUCE: a global applied to a tuple.
  mutating func reduce() throws(InputError) {
    guard case .tuple(let index) = try pop() else { throw failure("REDUCE needs a tuple") }
    let callee = try pop()
    guard case .global(let global) = callee else {
      throw failure("REDUCE would call \(callee.kind), which is no function")
    }
    try apply(global, to: tuples[index])
  }

  private mutating func apply(_ global: PickleGlobal, to arguments: [PickleValue])
    throws(InputError)
  {
    switch global {
    case .orderedDictionary: try makeDictionary(arguments)
    case .rebuildTensor: try makeTensor(arguments)
    case .rebuildParameter:
      guard arguments.count == 3, case .tensor = arguments[0] else {
        throw failure("_rebuild_parameter needs a tensor and two more arguments")
      }
      try push(arguments[0])
    case .rebuildParameterWithState:
      guard arguments.count == 4, case .tensor = arguments[0] else {
        throw failure("_rebuild_parameter_with_state needs a tensor and three more arguments")
      }
      try push(arguments[0])
    case .rebuildFromType:
      guard arguments.count == 4, case .global(let function) = arguments[0],
        arguments[1] == .global(.plainType), case .tuple(let inner) = arguments[2],
        [.rebuildTensor, .rebuildParameter, .rebuildParameterWithState].contains(function)
      else {
        throw failure("_rebuild_from_type_v2 needs a call that makes a tensor, and its type")
      }
      try apply(function, to: tuples[inner])
    case .size:
      guard arguments.count == 1, case .tuple = arguments[0] else {
        throw failure("torch.Size needs a tuple")
      }
      try push(arguments[0])
    case .storage, .untypedStorage, .elementType, .plainType:
      throw failure("REDUCE would call \(global.name), which is not allowed")
    }
  }

  /// BUILD: the `_metadata` that state dictionaries carry; it is dropped.
  mutating func build() throws(InputError) {
    let state = try pop()
    let target = try pop()
    guard case .dictionary = state, case .dictionary = target else {
      throw failure("BUILD would set the state of \(target.kind) from \(state.kind)")
    }
    try push(target)
  }

  /// OrderedDict() or OrderedDict([(key, value), ...]).
  private mutating func makeDictionary(_ arguments: [PickleValue]) throws(InputError) {
    guard arguments.count <= 1 else {
      throw failure("OrderedDict with \(arguments.count) arguments")
    }
    var members: [PickleMember] = []
    if let argument = arguments.first {
      guard case .list(let list) = argument else {
        throw failure("OrderedDict is made from \(argument.kind), which is not a list")
      }
      // The list may be used again and again.
      try take(valueCount: lists[list].count)
      for element in lists[list] {
        let pair: [PickleValue]
        switch element {
        case .tuple(let index): pair = tuples[index]
        case .list(let index): pair = lists[index]
        default: pair = []
        }
        guard pair.count == 2 else { throw failure("OrderedDict needs a list of pairs") }
        members.append(PickleMember(key: pair[0], value: pair[1], start: start))
      }
    }
    try pushDictionary()
    dictionaries[dictionaries.count - 1] = members
  }

  /// BINPERSID: ('storage', type, key, location, element count).
  mutating func storage(for identifier: PickleValue) throws(InputError) -> PickleValue {
    guard case .tuple(let index) = identifier, tuples[index].count == 5,
      tuples[index][0] == .text("storage"), case .global(let global) = tuples[index][1],
      case .text(let key) = tuples[index][2], case .text = tuples[index][3],
      case .integer(let elementCount) = tuples[index][4], elementCount >= 0
    else { throw failure("a persistent object that is not a storage of tensors") }
    let type: ElementType
    switch global {
    case .storage(let element): type = element
    case .untypedStorage:
      throw failure("untyped storages are not read", hint: Unpickler.hint)
    default: throw failure("\(global.name) is not a type of storage")
    }
    storages.append(PickleStorage(key: key, type: type, elementCount: elementCount))
    return .storage(storages.count - 1)
  }

  /// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata]).
  private mutating func makeTensor(_ arguments: [PickleValue]) throws(InputError) {
    guard arguments.count == 6 || arguments.count == 7, case .storage(let storage) = arguments[0],
      case .integer(let offset) = arguments[1]
    else { throw failure("_rebuild_tensor_v2 needs a storage and an offset") }
    let shape = try integers(arguments[2], "size")
    let strides = try integers(arguments[3], "stride")
    guard shape.count == strides.count, shape.count <= Unpickler.maximumRank else {
      throw failure(
        "a tensor of size \(shape.count) and stride \(strides.count) axes, at most "
          + "\(Unpickler.maximumRank) are read")
    }
    guard offset >= 0, shape.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }) else {
      throw failure("a negative offset, length or stride")
    }
    let tensor = PickleTensor(
      start: start, storage: storage, offset: offset, shape: shape, strides: strides)
    let available = storages[storage].elementCount
    guard TensorDescription.elementCount(shape) != nil, let span = tensor.span,
      span.upperBound <= available
    else {
      throw failure(
        "size \(shape), stride \(strides), offset \(offset) go beyond the \(available) elements "
          + "of storage \"\(storages[storage].key)\"")
    }
    tensors.append(tensor)
    try push(.tensor(tensors.count - 1))
  }

  private func integers(_ value: PickleValue, _ what: String) throws(InputError) -> [Int] {
    guard case .tuple(let index) = value else { throw failure("\(what) is not a tuple") }
    var result: [Int] = []
    for element in tuples[index] {
      guard case .integer(let integer) = element else {
        throw failure("\(what) holds \(element.kind)")
      }
      result.append(integer)
    }
    return result
  }
}
