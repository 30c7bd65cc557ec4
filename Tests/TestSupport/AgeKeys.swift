// Debian's age, for tests of sealed files; skipped where it is not installed.

public import Foundation
public import Testing

/// The real tools.
public enum AgeKeys {
  public static let areAvailable = ["age", "age-keygen"].allSatisfy {
    FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)")
  }

  /// Runs age or age-keygen and returns its standard output; nil when it fails.
  public static func run(_ name: String, _ arguments: [String], input: String? = nil) throws
    -> Data?
  {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/\(name)")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    process.standardInput =
      try input.map { try FileHandle(forReadingFrom: URL(filePath: $0)) } ?? .nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? data : nil
  }

  /// Makes an identity file and returns its public key.
  public static func make(at path: String) throws -> String {
    _ = try run("age-keygen", ["-o", path])
    let key = try run("age-keygen", ["-y", path]) ?? Data()
    return String(decoding: key, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

extension Trait where Self == ConditionTrait {
  /// The test runs only where age is installed.
  public static var needsAge: Self {
    .enabled(if: AgeKeys.areAvailable, "age is not installed: run tools/setup")
  }
}
