// Names of files that hold one part of several, as all writers of shards form them.

/// "model-00002-of-00005.safetensors": the second of five parts.
struct ShardName: Hashable {
  /// What stands before the number.
  var stem: String
  /// From 1 on.
  var number: Int
  var count: Int
  /// The end of the name, with its dot.
  var ending: String

  /// nil for any other name.
  init?(_ name: String) {
    guard
      let match = name.wholeMatch(of: /(.*)-([0-9]{5})-of-([0-9]{5})(\.[A-Za-z0-9]+)/),
      let number = Int(match.2), let count = Int(match.3), (1...count).contains(number)
    else { return nil }
    stem = String(match.1)
    self.number = number
    self.count = count
    ending = String(match.4)
  }

  /// The name of this part.
  var text: String {
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: 5 - digits.count) + digits
    }
    return "\(stem)-\(padded(number))-of-\(padded(count))\(ending)"
  }
}
