// Guesses of the next tokens, which a step checks all at once.

/// Proposes tokens that may come next; wrong ones cost slots, and never change the answer.
public protocol Drafter {
  /// At most `most` tokens that may follow `text`.
  mutating func draft(after text: [Int], most: Int) -> [Int]
}

/// What followed the last tokens where they stood before: good for texts that repeat themselves, such as
/// an answer that quotes the question.
///
/// The longest suffix of `longest` down to `shortest` tokens that occurs earlier is continued as it was
/// there, the latest occurrence first (prompt lookup decoding).
public struct RepetitionDrafter: Drafter {
  private let longest: Int
  private let shortest: Int

  public init(longest: Int = 4, shortest: Int = 2) {
    self.longest = longest
    self.shortest = shortest
  }

  public func draft(after text: [Int], most: Int) -> [Int] {
    guard most > 0 else { return [] }
    for length in stride(from: min(longest, text.count - 1), through: shortest, by: -1) {
      let suffix = text.suffix(length)
      for start in stride(from: text.count - length - 1, through: 0, by: -1)
      where text[start..<start + length].elementsEqual(suffix) {
        // What stands there may run into the suffix itself, and then repeats it.
        let period = text.count - length - start
        return (0..<most).map { text[start + length + $0 % period] }
      }
    }
    return []
  }
}
