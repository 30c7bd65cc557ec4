// Files that many tests need: converted, shared and dealt once, and removed when the tests end.

import Bytes
import Foundation
import TestSupport
import Testing

/// A folder of the tests' process, removed at its end.
enum SharedFolder {
  static let folder: Result<ScratchFolder, any Error> = Result {
    let folder = try ScratchFolder()
    atexit {
      if let path = try? SharedFolder.folder.get().path {
        try? FileManager.default.removeItem(atPath: path)
      }
    }
    return folder
  }

  /// Makes the subfolder `name` with `body` and returns its path.
  static func make(_ name: String, _ body: (String) throws -> Void) throws -> String {
    let path = try folder.get().file(name)
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true)
    try body(path)
    return path
  }
}

/// A tiny OPT with untrained weights, converted twice. Long enough for the failures it is made for.
enum Tiny {
  static let promptCapacity = 3
  static let newCapacity = 3
  static let sessionCount = 3

  /// Folder with config.json and model.safetensors, calibration.json, prompt.json and model.lodge.
  static let converted = Result {
    try SharedFolder.make("tiny") { folder in
      let checkpoint = try ScratchFolder()
      _ = try TinyCheckpoint.opt().write(to: checkpoint)
      for name in try checkpoint.names() {
        try FileManager.default.copyItem(
          atPath: checkpoint.file(name), toPath: "\(folder)/\(name)")
      }
      try Data("[[1,2,3,4,5,6],[7,8,9,10,0,1]]".utf8)
        .write(to: URL(filePath: "\(folder)/calibration.json"))
      try Data("[3,1,4]".utf8).write(to: URL(filePath: "\(folder)/prompt.json"))
      try Tool.succeed(
        "lodge-model",
        [
          "approximate", folder, "--tokens", "\(folder)/calibration.json",
          "--out", "\(folder)/model.lodge",
        ])
    }
  }

  /// Shares and dealt sessions of one conversion: DIR/shares, DIR/correlations.
  private static func conversion(_ name: String) -> Result<String, any Error> {
    Result {
      let model = try converted.get()
      return try SharedFolder.make(name) { folder in
        try Tool.succeed(
          "lodge-model", ["share", "\(model)/model.lodge", "--out", "\(folder)/shares"])
        try deal(folder, into: "\(folder)/correlations")
      }
    }
  }

  static let first = conversion("first")
  /// Another conversion of the same model: same program, other shares.
  static let second = conversion("second")

  /// A conversion with another headroom: another program.
  static let other = Result {
    let model = try converted.get()
    return try SharedFolder.make("other") { folder in
      try Tool.succeed(
        "lodge-model",
        [
          "approximate", model, "--tokens", "\(model)/calibration.json", "--headroom", "16",
          "--out", "\(folder)/model.lodge",
        ])
      try Tool.succeed(
        "lodge-model", ["share", "\(folder)/model.lodge", "--out", "\(folder)/shares"])
      try deal(folder, into: "\(folder)/correlations")
    }
  }

  static func deal(_ folder: String, into correlations: String, sessions: Int = sessionCount)
    throws
  {
    try Tool.succeed(
      "lodge-deal",
      [
        "\(folder)/shares", "--sessions", "0..<\(sessions)", "--prompt", "\(promptCapacity)",
        "--new", "\(newCapacity)", "--out", correlations,
      ])
  }
}

/// What two servers are given: a private copy of bundles and correlations.
struct Servers {
  let folder: ScratchFolder

  /// Copies the files of a conversion of `Tiny`.
  init(_ conversion: Result<String, any Error> = Tiny.first) throws {
    folder = try ScratchFolder()
    let source = try conversion.get()
    for name in ["shares", "correlations"] {
      try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: folder.file(name))
    }
  }

  /// Uses the shares and correlations that a test has made in `folder`.
  init(converted folder: ScratchFolder) { self.folder = folder }

  func bundle(_ party: Int) -> String { folder.file("shares/party\(party).bundle") }
  func correlations(_ party: Int) -> String { folder.file("correlations/party\(party)") }
  func session(_ number: Int, _ party: Int) -> String {
    "\(correlations(party))/00000\(number).corr"
  }

  /// The name of the batch in the ledgers.
  func batch() throws -> String {
    let text = try Tool.succeed(
      "lodge-check", ["verify", folder.file("correlations/dealer.batch"), "--json"])
    let parts = text.components(separatedBy: "\"batch\": \"")
    try #require(parts.count > 1, "\(text)")
    return String(parts[1].prefix(32))
  }

  /// Arguments of lodge-party, without --peer.
  func arguments(_ party: Int, listen: String = "127.0.0.1:0") -> [String] {
    [
      "--party", "\(party)", "--bundle", bundle(party), "--correlations", correlations(party),
      "--listen", listen, "--ledger", folder.file("party\(party).ledger"),
    ]
  }
}

/// Changes a file in place.
func damage(_ path: String, _ change: (inout Data) -> Void) throws {
  var bytes = try Data(contentsOf: URL(filePath: path))
  change(&bytes)
  try bytes.write(to: URL(filePath: path))
}
