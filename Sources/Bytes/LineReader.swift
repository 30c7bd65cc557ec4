// Lines of standard input, one after another, as they come.

import Glibc

/// Reads a descriptor line by line, and no further than a line needs.
public struct LineReader {
  private let descriptor: Int32
  private let source: String
  private let maximumByteCount: Int
  /// What was read and not given yet.
  private var rest: [UInt8] = []
  private var hasEnded = false

  /// - Parameters:
  ///   - source: What the lines are of, for errors.
  ///   - maximumByteCount: Bytes of the longest line.
  public init(
    descriptor: Int32 = 0, source: String = "standard input", maximumByteCount: Int
  ) {
    self.descriptor = descriptor
    self.source = source
    self.maximumByteCount = maximumByteCount
  }

  /// The next line without its end, or nil at the end of what there is.
  ///
  /// - Throws: `InputError` for a line that is too long or not UTF-8, and where reading fails.
  public mutating func next() throws(InputError) -> String? {
    var searched = 0
    while true {
      if let end = rest[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { rest.removeSubrange(...end) }
        return try text(rest[..<end])
      }
      searched = rest.count
      guard searched <= maximumByteCount else {
        throw InputError(source, "has a line of more than \(maximumByteCount) bytes")
      }
      if hasEnded {
        defer { rest = [] }
        return rest.isEmpty ? nil : try text(rest[...])
      }
      try read()
    }
  }

  private func text(_ bytes: ArraySlice<UInt8>) throws(InputError) -> String {
    let line = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
    guard let text = String(validating: line, as: UTF8.self) else {
      throw InputError(source, "is not valid UTF-8")
    }
    return text
  }

  private mutating func read() throws(InputError) {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe buffer.withUnsafeMutableBytes {
      unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
    }
    guard count >= 0 else {
      if errno == EINTR { return }
      throw InputError(source, "cannot be read: \(unsafe String(cString: strerror(errno)))")
    }
    hasEnded = count == 0
    rest += buffer[..<count]
  }
}
