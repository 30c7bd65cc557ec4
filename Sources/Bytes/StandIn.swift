// Texts that lie in place of a file which was never downloaded.

/// What a download leaves where it did not bring the file itself.
enum StandIn {
  case largeFilePointer
  case webPage

  /// Bytes of a file's beginning that are looked at.
  static let headByteCount = 256

  /// Recognises the beginning of a file; nil for anything else.
  init?(head: [UInt8]) {
    let blank: [UInt8] = [0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]
    let text = String(decoding: head.drop { blank.contains($0) }, as: UTF8.self).lowercased()
    // Git LFS, and what it was called before.
    let pointers = ["version https://git-lfs.github.com/", "version https://hawser.github.com/"]
    if pointers.contains(where: text.hasPrefix) {
      self = .largeFilePointer
    } else if ["<!doctype html", "<html", "<head", "<?xml"].contains(where: text.hasPrefix) {
      self = .webPage
    } else {
      return nil
    }
  }

  func error(_ path: String) -> InputError {
    switch self {
    case .largeFilePointer:
      InputError(
        path, "is a Git LFS pointer, the file itself was not downloaded",
        hint: "run 'git lfs pull' in the repository it is from, or download the file again")
    case .webPage:
      InputError(
        path, "is a web page or a server's message in place of the file",
        hint: "download the file again: the server may ask for a login, or for terms to be accepted"
      )
    }
  }
}
