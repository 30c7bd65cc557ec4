// What a tool prints of a result: prose and tables, set for where they are printed.

/// Prose and tables in the order in which they are read; a string literal into which tables and
/// other documents are interpolated.
///
/// Lines of prose are broken at words where they are too long; one that begins with a space, as
/// commands do, is kept whole.
public struct TextDocument: Sendable, ExpressibleByStringInterpolation {
  private enum Block: Sendable {
    case prose(String)
    case table(TextTable)
  }

  /// Collects the parts of a literal.
  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var document = TextDocument("")

    public init(literalCapacity: Int, interpolationCount: Int) {}

    public mutating func appendLiteral(_ literal: String) { document.append(.prose(literal)) }

    public mutating func appendInterpolation(_ table: TextTable) { document.append(.table(table)) }

    public mutating func appendInterpolation(_ document: TextDocument) {
      for block in document.blocks { self.document.append(block) }
    }

    public mutating func appendInterpolation(_ value: some CustomStringConvertible) {
      document.append(.prose(value.description))
    }
  }

  private var blocks: [Block] = []

  public init(_ text: String) { append(.prose(text)) }

  public init(_ table: TextTable) { append(.table(table)) }

  public init(stringLiteral value: String) { self.init(value) }

  public init(stringInterpolation: StringInterpolation) {
    blocks = stringInterpolation.document.blocks
  }

  /// `parts` with `separator` between them; those that are empty are left out.
  public init(_ parts: [TextDocument], separator: String = "\n\n") {
    for part in parts where !part.blocks.isEmpty {
      if !blocks.isEmpty { append(.prose(separator)) }
      for block in part.blocks { append(block) }
    }
  }

  private mutating func append(_ block: Block) {
    switch (blocks.last, block) {
    case (_, .prose("")): break
    case (.prose(let text), .prose(let more)): blocks[blocks.count - 1] = .prose(text + more)
    default: blocks.append(block)
    }
  }

  /// The text as files have it.
  public var text: String { text(.plain) }

  /// The text for `style`, without a newline at the end.
  public func text(_ style: TextStyle) -> String {
    var result = ""
    var isShortened = false
    for block in blocks {
      switch block {
      case .prose(let text):
        result += text.split(separator: "\n", omittingEmptySubsequences: false)
          .map { $0.first == " " ? [String($0)] : wrapped($0, columnCount: style.proseColumnCount) }
          .joined().joined(separator: "\n")
      case .table(let table):
        let (text, hasElided) = table.text(style)
        result += text
        isShortened = isShortened || hasElided
      }
    }
    if isShortened {
      let note = "… stands for what has no room here: into a file or a pipe all is written."
      result += "\n\n" + wrapped(note, columnCount: style.proseColumnCount).joined(separator: "\n")
    }
    return result
  }
}

/// The words of `text` in lines of at most `columnCount` characters; a longer word has its own line.
func wrapped(_ text: some StringProtocol, columnCount: Int) -> [String] {
  guard text.count > columnCount else { return [String(text)] }
  var lines: [String] = []
  var line = ""
  for word in text.split(separator: " ") {
    if !line.isEmpty, line.count + 1 + word.count > columnCount {
      lines.append(line)
      line = ""
    }
    line += line.isEmpty ? word : " \(word)"
  }
  return lines + [line]
}

/// A result that a tool tells people and machines.
public protocol Report {
  /// For people.
  var document: TextDocument { get }
  /// The same for machines, with nothing left out.
  var json: JSON { get }
}

extension Report {
  /// The document as files have it.
  public var text: String { document.text }
}
