// An answer as it is shown: text as it comes, up to a text that ends it.

/// The text of an answer, token by token, up to the first of the texts that end it.
public struct AnswerStream {
  private var stream: TextStream
  private let endings: [[UInt8]]
  /// Text that may be the beginning of an ending.
  private var held: [UInt8] = []
  private var shown: [UInt8] = []
  /// Whether an ending was found: what follows is not shown.
  public private(set) var isOver = false

  /// - Parameter endings: Texts that end the answer and are not part of it; none is empty.
  public init(_ tokenizer: Tokenizer, endings: [String]) {
    stream = TextStream(tokenizer)
    self.endings = endings.map { Array($0.utf8) }
    precondition(!self.endings.contains([]), "an ending is not empty")
  }

  /// All that was shown.
  public var text: String { String(decoding: shown, as: UTF8.self) }

  /// What `token` lets be shown.
  public mutating func append(_ token: Int) -> String {
    isOver ? "" : show(stream.append(token), isLast: false)
  }

  /// What is left when no token follows.
  public mutating func finish() -> String {
    isOver ? "" : show(stream.finish(), isLast: true)
  }

  private mutating func show(_ piece: String, isLast: Bool) -> String {
    held += piece.utf8
    let found = endings.compactMap { AnswerStream.firstIndex(of: $0, in: held) }.min()
    var count = held.count
    if let found {
      isOver = true
      count = found
    } else if !isLast {
      // The longest end that an ending begins with waits.
      let waiting = endings.map { ending in
        (0..<ending.count).reversed().first { held.suffix($0).elementsEqual(ending.prefix($0)) }
          ?? 0
      }
      count -= min(waiting.max() ?? 0, held.count)
    }
    let part = held[..<count]
    shown += part
    held.removeFirst(count)
    return String(decoding: part, as: UTF8.self)
  }

  private static func firstIndex(of text: [UInt8], in all: [UInt8]) -> Int? {
    guard text.count <= all.count else { return nil }
    return (0...all.count - text.count).first { all[$0...].starts(with: text) }
  }
}
