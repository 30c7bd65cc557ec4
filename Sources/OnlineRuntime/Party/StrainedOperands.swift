// What party 1 sees of operands that the program hardly has room for.

import Program

/// Operands of permuted functions that came near the end of their ring.
///
/// A program has room for at least twice what it takes for possible, which is more than calibration saw.
/// Numbers of the upper half of that may be others that went once around: the answer may be wrong, and
/// nothing else shows it.
public struct StrainedOperands: Equatable, Sendable {
  public private(set) var count = 0
  /// Where the first of them was.
  public private(set) var label = ""

  public init() {}

  /// Counts those among `words`, as `function` shows them, which are at least 2^(bits - 2) in magnitude
  /// and none of what stands for rows and keys that a step does not have.
  mutating func add(_ words: [UInt64], _ function: PermutedFunction, label: String) {
    let bits = UInt64(function.opening.bits)
    let quarter = 1 &<< (bits - 2)
    var found: UInt64 = 0
    // What is shown is a secret of the prompt's: nothing branches on it.
    for word in words {
      let difference = word ^ function.absent
      let isPresent = (difference | (0 &- difference)) >> 63
      found &+= function.opening.reduced(word &+ quarter) >> (bits - 1) & isPresent
    }
    if found > 0, count == 0 { self.label = label }
    count += Int(found)
  }

  /// What whoever reads the answer should know; nil where there are none.
  public var warning: String? {
    guard count > 0 else { return nil }
    return
      "\(count) \(count == 1 ? "number" : "numbers") inside the model, the first at \(label), came "
      + "to the end of what the program has room for, far beyond what the owner's calibration saw: the "
      + "text may be unlike that of the calibration, and the answer wrong"
  }
}
