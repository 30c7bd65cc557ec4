// Names of a checkpoint's tensors as a family states them, without what wrappers put around them.

import Bytes
import Checkpoints

/// The stored names of tensors by the names under which a family's builder looks for them.
struct TensorNames {
  /// By the family's name.
  private(set) var stored: [String: String]
  /// Says which part of the names is left out; nil where they are taken as they are.
  private(set) var notice: String?

  /// The family's names.
  var names: Set<String> { Set(stored.keys) }

  /// Modules that libraries put around others, anywhere in a model: torch.compile, FSDP, activation
  /// checkpointing, and the strategies of Lightning.
  private static let wrappers: Set<Substring> = [
    "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module",
  ]
  /// Deepest common prefix that is left out.
  private static let maximumDepth = 4

  /// The stored name of the tensor that the family calls `name`, or `name` itself.
  func storedName(_ name: String) -> String { stored[name] ?? name }

  /// Names as they are but for wrappers and old spellings; then without one, two and more leading
  /// parts that most of them have in common.
  static func candidates(of source: any TensorSource) -> [TensorNames] {
    var pairs: [Pair] = source.tensors.map { Pair(name: plain($0.name), stored: $0.name) }
    for (alias, stored) in source.aliases.sorted(by: { $0.key < $1.key }) {
      pairs.append(Pair(name: plain(alias), stored: stored, isAlias: true))
    }
    var result = [TensorNames(pairs)]
    for _ in 0..<maximumDepth {
      guard let prefix = commonPrefix(pairs.map(\.name)) else { break }
      for index in pairs.indices where pairs[index].name.hasPrefix(prefix) {
        pairs[index].name.removeFirst(prefix.count)
      }
      result.append(TensorNames(pairs))
    }
    return result
  }

  private struct Pair {
    var name: String
    var stored: String
    /// Whether the file gives the name as another one of the stored tensor.
    var isAlias = false

    /// Whether a part of the stored name is left out.
    var isShortened: Bool {
      func partCount(_ name: String) -> Int { name.count { $0 == "." } }
      return !isAlias && partCount(name) < partCount(stored)
    }
  }

  private init(_ pairs: [Pair]) {
    stored = [:]
    var example: Pair?
    for pair in pairs {
      // Of two tensors that would get one name, the second keeps its own and is told as unknown.
      guard stored[pair.name] == nil else {
        stored[pair.stored] = pair.stored
        continue
      }
      stored[pair.name] = pair.stored
      if example == nil, pair.isShortened { example = pair }
    }
    notice = example.map { "names such as \"\($0.stored)\" are read as \"\($0.name)\"" }
  }

  /// Without wrappers, and with today's names of LayerNorm's weights.
  private static func plain(_ name: String) -> String {
    var parts = name.split(separator: ".", omittingEmptySubsequences: false)
      .filter { !wrappers.contains($0) }
    if parts.count > 1, parts[parts.count - 2] == "LayerNorm", let last = parts.last {
      parts[parts.count - 1] = last == "gamma" ? "weight" : last == "beta" ? "bias" : last
    }
    return parts.joined(separator: ".")
  }

  /// The first part, with its dot, of at least half of `names`; nil where there is none.
  private static func commonPrefix(_ names: [String]) -> String? {
    var counts: [Substring: Int] = [:]
    for name in names {
      if let dot = name.firstIndex(of: ".") { counts[name[...dot], default: 0] += 1 }
    }
    return counts.filter { 2 * $0.value >= names.count }.max { $0.value < $1.value }
      .map { String($0.key) }
  }
}
