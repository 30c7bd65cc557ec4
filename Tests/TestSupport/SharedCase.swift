// Cases beside the repository: inputs that a generator makes, with the values that are right.

public import Bytes
import Foundation
public import Testing

/// A folder of ../shared/cases, made anew by its generator in a folder of the test.
public struct SharedCase {
  public let name: String
  private let scratch: ScratchFolder

  /// Where the cases are, or nil where they are absent.
  static let root: URL? = {
    let folder = Repository.root.appending(path: "../shared/cases").standardizedFileURL
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }()

  /// Runs the generator of the case `name` with the Python of tools/setup.
  public init(_ name: String) throws {
    self.name = name
    scratch = try ScratchFolder()
    let root = try #require(SharedCase.root)
    try FileManager.default.createDirectory(
      atPath: scratch.file(name), withIntermediateDirectories: true)
    for file in ["refmodels.py", "\(name)/generator.py"] {
      try FileManager.default.copyItem(
        atPath: root.appending(path: file).path, toPath: scratch.file(file))
    }
    let process = Process()
    process.executableURL = Repository.root.appending(path: ".venv/bin/python")
    process.arguments = [scratch.file("\(name)/generator.py")]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "the generator of \(name) fails")
  }

  /// The path of a file or folder that the generator makes.
  public func path(_ file: String) -> String { scratch.file("\(name)/\(file)") }

  /// The member at `keys` of expected.json, which is kept beside the generator.
  public func expected(_ keys: String...) throws -> JSON {
    let root = try #require(SharedCase.root)
    var value = try JSON.read(root.appending(path: "\(name)/expected.json").path)
    for key in keys {
      guard case .object(let members) = value else { break }
      value = try #require(members[key])
    }
    return value
  }

  /// The numbers at `keys` of expected.json.
  public func expectedNumbers(_ keys: String...) throws -> [Double] {
    var value = try expected()
    for key in keys {
      guard case .object(let members) = value else { break }
      value = try #require(members[key])
    }
    guard case .array(let elements) = value else { return [] }
    return elements.compactMap { element in
      switch element {
      case .number(let number): number
      case .integer(let integer): Double(integer)
      default: nil
      }
    }
  }
}

extension Trait where Self == ConditionTrait {
  /// The test runs only where the cases lie beside the repository and tools/setup has made .venv.
  public static var needsSharedCases: Self {
    .enabled(
      if: SharedCase.root != nil && PythonTool.isAvailable,
      "the shared cases are not beside the repository, or .venv is missing")
  }
}
