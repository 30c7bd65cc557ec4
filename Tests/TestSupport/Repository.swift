// Where tests find fixtures, format vectors and the optional shared models.

public import Foundation

/// Folders of the repository, found by walking up from this file.
public enum Repository {
  public static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// `Tests/Fixtures`, the files that ship with the repository.
  public static let fixtures = root.appending(path: "Tests/Fixtures")

  /// The trained models beside the repository, or nil where they are absent.
  public static let sharedModels: URL? = {
    let folder = root.appending(path: "../shared/models").standardizedFileURL
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }()
}
