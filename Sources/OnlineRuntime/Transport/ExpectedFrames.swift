// Which frames the protocol allows at one point, and how long they may be.

/// What a receiver takes next; any other frame ends the connection at its header, so that nothing
/// of it is kept.
struct ExpectedFrames: Sendable {
  /// The longest payload of each type that may come.
  private let limits: [(type: FrameType, byteCount: Int)]

  private init(_ limits: [(type: FrameType, byteCount: Int)]) { self.limits = limits }

  /// Frames of `types` without data.
  static func control(_ types: FrameType...) -> ExpectedFrames {
    ExpectedFrames(types.map { ($0, FrameHeader.maximumControlByteCount) })
  }

  /// A frame of data of at most `byteCount` bytes, or one of `types`.
  static func data(_ type: FrameType, atMost byteCount: Int, or types: FrameType...)
    -> ExpectedFrames
  {
    ExpectedFrames(
      [(type, byteCount)] + types.map { ($0, FrameHeader.maximumControlByteCount) })
  }

  /// An opening, however long, or the end of the session: for headers alone, whose payload is then
  /// received with a limit or read away.
  static let openingOrEnd = ExpectedFrames.data(.words, atMost: .max, or: .end)

  /// Why a frame may not come here; nil when it may.
  func complaint(_ header: FrameHeader) -> String? {
    guard let limit = limits.first(where: { $0.type == header.type })?.byteCount else {
      return "sent a \(header.type) frame where \(names) was expected"
    }
    guard header.length <= UInt64(limit) else {
      return "announced a frame of \(header.length) bytes, at most \(limit) fit here"
    }
    return nil
  }

  private var names: String { limits.map { "a \($0.type)" }.joined(separator: " or ") + " frame" }
}
