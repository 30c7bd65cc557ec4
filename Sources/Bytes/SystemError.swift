// Texts of operating system errors.

import Glibc

/// Turns `errno` values into text.
public enum SystemError {
  /// The system's description of `code`, in lower case as our own causes are, such as
  /// "no such file or directory".
  public static func message(_ code: Int32) -> String {
    // glibc keeps this text per thread.
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    let message = unsafe String(cString: text)
    return message.prefix(1).lowercased() + message.dropFirst()
  }
}
