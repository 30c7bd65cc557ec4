// The tensors of an unpickled value: the dictionary itself, or the one under a usual key.

import Bytes

/// Tensors by name.
struct StateDictionary {
  /// Keys under which training scripts keep the state dictionary, the first that is there is taken.
  private static let keys = ["state_dict", "model_state_dict", "model", "module"]

  private(set) var tensors: [String: PickleTensor] = [:]

  /// - Throws: one `InputError` with every entry that is not a tensor under a name of its own.
  init(_ unpickler: Unpickler, path: String) throws(InputError) {
    guard case .dictionary(let root) = unpickler.root else {
      throw InputError(
        path, offset: unpickler.start,
        "the pickle holds \(unpickler.root.kind), expected a dictionary of tensors",
        hint: Unpickler.hint)
    }
    var chosen = root
    if !StateDictionary.holdsTensor(unpickler, root) {
      for key in StateDictionary.keys {
        let inner = unpickler.dictionaries[root].first { $0.key == .text(key) }
        guard case .dictionary(let index)? = inner?.value else { continue }
        chosen = index
        break
      }
    }
    var problems = Problems()
    for member in unpickler.dictionaries[chosen] {
      let place = "byte \(member.start)"
      guard case .text(let name) = member.key else {
        problems.add("\(place): a key of the dictionary is \(member.key.kind), expected a string")
        continue
      }
      guard case .tensor(let index) = member.value else {
        problems.add("\(name): \(place): is \(member.value.kind), expected a tensor")
        continue
      }
      guard tensors.updateValue(unpickler.tensors[index], forKey: name) == nil else {
        problems.add("\(name): \(place): is there twice")
        continue
      }
    }
    try problems.check(source: path, hint: Unpickler.hint)
    guard !tensors.isEmpty else {
      throw InputError(
        path, offset: unpickler.start, "the pickle holds no tensors", hint: Unpickler.hint)
    }
  }

  private static func holdsTensor(_ unpickler: Unpickler, _ dictionary: Int) -> Bool {
    unpickler.dictionaries[dictionary].contains {
      if case .tensor = $0.value { return true }
      return false
    }
  }
}
