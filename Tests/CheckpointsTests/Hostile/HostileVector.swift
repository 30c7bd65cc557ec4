// Files that break one rule of one reader, and what each reader says of them.

import Bytes
import Checkpoints
import Foundation
import Models
import TestSupport
import Testing

/// A file or a folder in Tests/Vectors/checkpoints/hostile, named after the rule that it breaks.
struct HostileVector: Sendable, CustomTestStringConvertible {
  /// File name, or folder name without a dot; the part before the first hyphen tells the reader.
  var name: String
  /// Contents by the name of the file in the folder, or by "" for a single file.
  var files: [String: [UInt8]]

  init(_ name: String, _ bytes: [UInt8]) {
    self.name = name
    files = ["": bytes]
  }

  init(_ name: String, files: [String: [UInt8]]) {
    self.name = name
    self.files = files
  }

  var testDescription: String { name }

  /// What tests make by code; files of more bytes than this are not kept.
  static let built =
    safetensors + gguf + pickles + archives + hdf5 + json + folders + configurations + models
  static let maximumKeptByteCount = 16 << 10

  var isKept: Bool {
    files.values.reduce(0) { $0 + $1.count } <= HostileVector.maximumKeptByteCount
  }

  static let folder = Repository.root.appending(path: "Tests/Vectors/checkpoints/hostile").path
  static let expectationsFile = "expected.json"

  /// The error of every vector, as `outcome` gives it.
  static func expectations() throws -> [String: String] {
    let path = "\(folder)/\(expectationsFile)"
    guard case .object(let members) = try JSON.read(path) else { return [:] }
    return members.compactMapValues { value in
      guard case .string(let text) = value else { return nil }
      return text
    }
  }

  /// Names of the vectors in the folder.
  static func keptNames() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder)
      .filter { $0 != expectationsFile }.sorted()
  }

  /// Writes this vector into `folder` and returns its path.
  func write(to folder: String) throws -> String {
    let path = "\(folder)/\(name)"
    for (file, bytes) in files {
      let target = file.isEmpty ? path : "\(path)/\(file)"
      try FileManager.default.createDirectory(
        atPath: FilePaths.folder(of: target), withIntermediateDirectories: true)
      try Data(bytes).write(to: URL(filePath: target))
    }
    return path
  }
}

/// Where reading stops and why.
struct HostileOutcome {
  enum Stage: String {
    /// Header and structure of a file.
    case open
    /// The graph of the model: settings, names, shapes.
    case model
    /// Elements of a tensor.
    case read
  }

  var stage: Stage
  var error: InputError

  /// The stage and the error without the path: "open: byte 4: GGUF version 1 is not read".
  ///
  /// Of a file in the folder `path` its name is kept.
  func text(path: String) -> String {
    let text = "\(error)".dropFirst(error.source.count + 2)
    let isInside = error.source.hasPrefix(path + "/")
    return "\(stage.rawValue): "
      + (isInside ? "\(error.source.dropFirst(path.count + 1)): " : "") + text
  }

  /// Reads the vector at `path` as far as it goes; nil where nothing is wrong with it.
  static func of(_ path: String) throws -> HostileOutcome? {
    let name = FilePaths.lastComponent(of: path)
    func outcome(_ stage: Stage, _ body: () throws -> Void) throws -> HostileOutcome? {
      do {
        try body()
        return nil
      } catch let error as InputError { return HostileOutcome(stage: stage, error: error) }
    }
    switch name.prefix(while: { $0 != "-" }) {
    case "json": return try outcome(.open) { _ = try HostileVector.parse(path) }
    case "config", "model":
      return try outcome(.model) { _ = try ModelLoader.load(HostileVector.tinyCheckpoint(path)) }
    case "folder", "checkpoint": return try outcome(.open) { _ = try Checkpoint(path: path) }
    default: break
    }
    var source: (any TensorSource)?
    if let found = try outcome(.open, { source = try HostileVector.open(path) }) { return found }
    if name.hasPrefix("gguf-") {
      let found = try outcome(.model) { _ = try Checkpoint(path: path) }
      if let found { return found }
    }
    for tensor in source?.tensors ?? [] {
      let found = try outcome(.read) { _ = try source?.floats(tensor.name) }
      if let found { return found }
    }
    return nil
  }
}

extension HostileVector {
  /// Opens a tensor file by the extension of its name.
  fileprivate static func open(_ path: String) throws(InputError) -> any TensorSource {
    if path.hasSuffix(".json") { return try ShardedCheckpoint(path: path) }
    if path.hasSuffix(".gguf") { return try GGUF(path: path) }
    if path.hasSuffix(".h5") { return try HDF5Checkpoint(path: path) }
    if path.hasSuffix(".pt") { return try PyTorchCheckpoint(path: path) }
    return try Safetensors(path: path)
  }

  fileprivate static func parse(_ path: String) throws(InputError) -> JSON {
    try JSON.read(path, valueLimit: JSON.maximumUntrustedValueCount)
  }

  /// A tiny OPT with another configuration ("config-...") or other tensors ("model-...").
  fileprivate static func tinyCheckpoint(_ path: String) throws -> Checkpoint {
    let folder = try ScratchFolder()
    let tiny = try TinyCheckpoint.opt(layerCount: 1, width: 2, innerWidth: 2).write(to: folder)
    let isConfiguration = path.hasSuffix(".json")
    let configurationPath = isConfiguration ? path : "\(tiny)/config.json"
    return Checkpoint(
      configurationPath: configurationPath, configuration: try parse(configurationPath),
      source: try Safetensors(path: isConfiguration ? "\(tiny)/model.safetensors" : path))
  }
}
