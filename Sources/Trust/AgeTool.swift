// Sealed files: the age format, by Debian's age tool, which streams between two descriptors.

public import Bytes
import Foundation
import Glibc

/// Runs the age tool (package `age`); no plaintext passes through a named file.
public enum AgeTool {
  /// What sealed files end in.
  public static let suffix = ".age"

  /// Throws when age is not installed or does not take `recipient`: before long work begins.
  public static func check(_ recipient: AgeRecipient) throws(InputError) {
    let nothing = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
    defer { close(nothing) }
    let complaint = try run(
      ["--encrypt", "--recipient", recipient.text], input: nothing, output: nothing)
    if let complaint {
      throw InputError("recipient \(recipient.text)", "age does not take it: \(complaint)")
    }
  }

  /// Writes what can be read from `input` to `path`, sealed for `recipient`.
  ///
  /// - Throws: `InputError` where it fails; there is then nothing new at `path`.
  public static func seal(_ input: Int32, for recipient: AgeRecipient, to path: String)
    throws(InputError)
  {
    try AtomicFile.write(to: path) { (output) throws(InputError) in
      let complaint = try run(
        ["--encrypt", "--recipient", recipient.text], input: input, output: output)
      if let complaint { throw InputError(path, "age cannot seal it: \(complaint)") }
    }
  }

  /// Writes the plaintext of the sealed file `path` to `output`.
  ///
  /// - Parameter identity: Path of a private key that it is sealed for, of age or OpenSSH.
  /// - Throws: `InputError` where it cannot be opened or is damaged; what has been written to
  ///   `output` must then not be used.
  public static func unseal(_ path: String, identity: String, to output: Int32)
    throws(InputError)
  {
    // age opens the sealed file, of which it believes nothing, and is given the key, which is not
    // looked for again under its name.
    close(try FilePaths.openSecret(path))
    let key = try FilePaths.openSecret(identity)
    defer { close(key) }
    let complaint = try run(
      ["--decrypt", "--identity", "-", FilePaths.argument(path)], input: key, output: output)
    guard let complaint else { return }
    // Whoever reads the plaintext ran out of something: the file is as good as before.
    for code in [ENOSPC, EDQUOT, ENOMEM, EMFILE]
    where complaint.lowercased().contains(SystemError.message(code)) {
      throw InputError(path, "age cannot open it", system: code)
    }
    throw InputError(
      path, "age cannot open it: \(complaint)",
      hint: complaint.contains(otherKey)
        ? "it is sealed for another key than that in \(identity)" : "")
  }

  /// What age says of a file that is sealed for others.
  private static let otherKey = "no identity matched"

  /// Whether `error` is that of `unseal` for a file that is sealed for others.
  public static func isForAnotherKey(_ error: InputError) -> Bool { error.cause.contains(otherKey) }

  /// Runs age to its end; nil when it succeeded, else what it said.
  private static func run(_ arguments: [String], input: Int32, output: Int32) throws(InputError)
    -> String?
  {
    let process = Process()
    process.executableURL = URL(filePath: try executable())
    process.arguments = arguments
    process.standardInput = FileHandle(fileDescriptor: input, closeOnDealloc: false)
    process.standardOutput = FileHandle(fileDescriptor: output, closeOnDealloc: false)
    let messages = Pipe()
    process.standardError = messages
    do { try process.run() } catch {
      throw InputError("age", "cannot be started: \(error)", system: EAGAIN)
    }
    // A few lines at most; the end comes when age has gone.
    let text = messages.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    if process.terminationReason == .exit, process.terminationStatus == 0 { return nil }
    let lines = String(decoding: text.prefix(4096), as: UTF8.self)
      .split(whereSeparator: \.isNewline)
    let complaint = lines.first { $0.hasPrefix("age: error: ") }?.dropFirst(12) ?? lines.first
    return complaint.map(String.init) ?? "it ended with status \(process.terminationStatus)"
  }

  private static func executable() throws(InputError) -> String {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
    for folder in folders {
      let path = "\(folder)/age"
      if unsafe access(path, X_OK) == 0, !FilePaths.isFolder(path) { return path }
    }
    throw InputError(
      "age", "is not installed: sealed files need it", system: ENOENT,
      hint: "run 'apt-get install age'")
  }
}
