// What text is printed to: how wide that is, and whether it shows colours.

/// How a terminal, a file or a pipe takes text.
public struct TextStyle: Equatable, Sendable {
  /// Colours by their meaning; a terminal chooses the shade.
  public enum Colour: Int, Sendable {
    case red = 31
    case green = 32
    case yellow = 33
    case cyan = 36
  }

  /// Columns of the terminal; nil where there is none, and tables are as wide as they are.
  public var columnCount: Int?
  public var isColoured: Bool

  public init(columnCount: Int? = nil, isColoured: Bool = false) {
    self.columnCount = columnCount
    self.isColoured = isColoured
  }

  /// That of files, pipes and tests.
  public static let plain = TextStyle()

  /// Prose of longer lines is hard to read, however wide the terminal is.
  private static let longestProseLine = 100

  var proseColumnCount: Int { min(columnCount ?? .max, TextStyle.longestProseLine) }

  /// `text` in `colour`, or as it is.
  public func coloured(_ text: String, _ colour: Colour) -> String {
    isColoured ? "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m" : text
  }
}
