// What the layers of a model share: names without the layers' numbers.

/// "layers.*.attention.wq" for "layers.3.attention.wq"; parts are separated by dots and slashes.
public func namePattern(_ name: String) -> String {
  name.split(separator: "/", omittingEmptySubsequences: false).map { path in
    path.split(separator: ".", omittingEmptySubsequences: false).map { part in
      !part.isEmpty && part.allSatisfy { $0.isASCII && $0.isNumber } ? "*" : String(part)
    }.joined(separator: ".")
  }.joined(separator: "/")
}

extension Sequence {
  /// Elements of one key together, in the order in which keys come first.
  public func grouped<Key: Hashable>(by key: (Element) -> Key) -> [(key: Key, elements: [Element])]
  {
    var groups: [(key: Key, elements: [Element])] = []
    var places: [Key: Int] = [:]
    for element in self {
      let name = key(element)
      if let place = places[name] {
        groups[place].elements.append(element)
      } else {
        places[name] = groups.count
        groups.append((name, [element]))
      }
    }
    return groups
  }
}
