// Values of chat templates.

import Bytes

/// A value of the template language.
indirect enum JinjaValue {
  case undefined(String)
  case none
  case bool(Bool)
  case integer(Int)
  case text(String)
  case list([JinjaValue])
  /// Members in the order in which they are printed.
  case map([(key: String, value: JinjaValue)])
  case namespace(Namespace)

  /// What `namespace()` makes: a map that is written through every name for it.
  final class Namespace {
    var members: [String: JinjaValue] = [:]
  }

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .text(let text): !text.isEmpty
    case .list(let list): !list.isEmpty
    case .map(let members): !members.isEmpty
    case .namespace: true
    }
  }

  /// As Python prints it; nil for what templates have no reason to print.
  var printed: String? {
    switch self {
    case .undefined: ""
    case .none: "None"
    case .bool(let value): value ? "True" : "False"
    case .integer(let value): String(value)
    case .text(let text): text
    case .list, .map, .namespace: nil
    }
  }

  /// The member `key`; undefined where there is none.
  func member(_ key: String) -> JinjaValue {
    switch self {
    case .map(let members): members.first { $0.key == key }?.value ?? .undefined(key)
    case .namespace(let namespace): namespace.members[key] ?? .undefined(key)
    default: .undefined(key)
    }
  }

  /// Equality of texts byte by byte, of numbers by value; nil where kinds are not compared here.
  func equals(_ other: JinjaValue) -> Bool {
    switch (self, other) {
    case (.none, .none), (.undefined, .undefined): true
    case (.bool(let left), .bool(let right)): left == right
    case (.integer(let left), .integer(let right)): left == right
    case (.text(let left), .text(let right)): left.utf8.elementsEqual(right.utf8)
    case (.list(let left), .list(let right)):
      left.count == right.count && zip(left, right).allSatisfy { $0.equals($1) }
    default: false
    }
  }
}
