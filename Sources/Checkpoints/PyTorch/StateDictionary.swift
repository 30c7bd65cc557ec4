// The tensors of an unpickled value: the dictionary itself, or one that it holds.

import Bytes

/// Tensors by name.
struct StateDictionary {
  /// Keys under which training scripts keep the state dictionary, in the order of preference.
  private static let keys = [
    "state_dict", "model_state_dict", "model", "module", "model_state", "net", "params",
  ]

  private(set) var tensors: [String: PickleTensor] = [:]
  /// Says which of several dictionaries of tensors is read.
  private(set) var notice: String?

  /// - Throws: one `InputError` with every entry that is not a tensor under a name of its own, and
  ///   for several dictionaries of tensors without a usual key.
  init(_ unpickler: Unpickler, path: String) throws(InputError) {
    guard case .dictionary(let root) = unpickler.root else {
      throw InputError(
        path, offset: unpickler.start,
        "the pickle holds \(unpickler.root.kind), expected a dictionary of tensors",
        hint: Unpickler.hint)
    }
    let chosen = try choose(unpickler, root, path: path)
    var problems = ProblemList()
    for member in unpickler.dictionaries[chosen] {
      let place = "byte \(member.start)"
      guard case .text(let name) = member.key else {
        problems.add("\(place): a key of the dictionary is \(member.key.kind), expected a string")
        continue
      }
      guard case .tensor(let index) = member.value else {
        problems.add(name, ": \(place): is \(member.value.kind), expected a tensor")
        continue
      }
      guard tensors.updateValue(unpickler.tensors[index], forKey: name) == nil else {
        problems.add(name, ": \(place): is there twice")
        continue
      }
    }
    try problems.check(source: path, hint: Unpickler.hint)
    guard !tensors.isEmpty else {
      throw InputError(
        path, offset: unpickler.start, "the pickle holds no tensors", hint: Unpickler.hint)
    }
  }

  /// The dictionary of tensors: an inner one under a usual key, or the only inner one that holds
  /// nothing else, whatever lies beside it; else the whole.
  private mutating func choose(_ unpickler: Unpickler, _ root: Int, path: String)
    throws(InputError) -> Int
  {
    var inner: [(key: String, index: Int)] = []
    for member in unpickler.dictionaries[root] {
      guard case .text(let key) = member.key, case .dictionary(let index) = member.value else {
        continue
      }
      let isNamed = StateDictionary.keys.contains(key)
      if StateDictionary.holdsTensor(unpickler, index, only: !isNamed) {
        inner.append((key, index))
      }
    }
    let named = StateDictionary.keys.compactMap { key in inner.first { $0.key == key } }.first
    guard let chosen = named ?? inner.first else { return root }
    let others = inner.map(\.key).filter { $0 != chosen.key }
    guard named != nil || others.isEmpty else {
      throw InputError(
        path, offset: unpickler.start,
        "the pickle holds \(inner.count) dictionaries of tensors: "
          + inner.prefix(10).map { "\"\($0.key)\"" }.joined(separator: ", "),
        hint: "save the one of the model by itself: torch.save(dictionary, path)")
    }
    if !others.isEmpty {
      notice =
        "\(path): the tensors under \"\(chosen.key)\" are read; not those under "
        + others.prefix(5).map { "\"\($0)\"" }.joined(separator: ", ")
    }
    return chosen.index
  }

  /// Whether a dictionary holds a tensor; with `only`, tensors under strings and nothing else.
  private static func holdsTensor(_ unpickler: Unpickler, _ dictionary: Int, only: Bool) -> Bool {
    let members = unpickler.dictionaries[dictionary]
    func isTensor(_ member: PickleMember) -> Bool {
      guard case .text = member.key, case .tensor = member.value else { return false }
      return true
    }
    return only
      ? !members.isEmpty && members.allSatisfy(isTensor) : members.contains(where: isTensor)
  }
}
