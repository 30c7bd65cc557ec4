// A checkpoint as users name it: a Hugging Face folder, a tensor file, or an index of shards.

public import Bytes

/// Configuration and tensors of one trained model; opening it reads headers only.
public struct Checkpoint: Sendable {
  public static let configurationFileName = "config.json"
  /// Name of the file of gates beside it, which holds no weights of the model.
  package static let gatesFileName = "gates.safetensors"
  public static let safetensorsFileName = "model.safetensors"

  /// Path of config.json, or of the GGUF file whose metadata stand for it.
  public let configurationPath: String
  /// The whole of config.json, a JSON object.
  public let configuration: JSON
  public var source: any TensorSource
  /// What the user should know about the choice of the file and about what lies beside it.
  public let notices: [String]

  public var tensors: [TensorDescription] { source.tensors }

  /// Whether metadata of a GGUF file stand for config.json.
  public var isOfGGUF: Bool {
    FilePaths.lastComponent(of: configurationPath) != Checkpoint.configurationFileName
  }

  public init(
    configurationPath: String, configuration: JSON, source: any TensorSource,
    notices: [String] = []
  ) {
    self.configurationPath = configurationPath
    self.configuration = configuration
    self.source = source
    self.notices = notices
  }

  /// Opens the folder, the tensor file, or the index of shards at `path`; content decides the
  /// format, and of several in a folder safetensors, then PyTorch, HDF5 and GGUF is taken.
  /// - Parameter adapter: folder of an adapter that is merged, so that nothing is said of it.
  /// - Throws: `InputError` where a file is absent, of a format that is not read, or malformed.
  public init(path: String, adapter merged: String? = nil) throws(InputError) {
    guard FilePaths.exists(path) else {
      throw InputError(path, "no such file or folder", hint: nearestPathHint(to: path))
    }
    let isFolder = FilePaths.isFolder(path)
    let folder =
      isFolder
      ? SentenceFolder.model(FilePaths.withoutTrailingSlashes(path)) : FilePaths.folder(of: path)
    let choice = isFolder ? try CheckpointFolder(folder) : nil
    let adapter = AdapterFiles(folder)
    if let adapter, !isFolder, AdapterFiles.isAdapter(FilePaths.lastComponent(of: path)) {
      throw adapter.isAlone
    }
    let isMerged =
      merged.map { FilePaths.resolved($0) == FilePaths.resolved(folder) } ?? false
    let source = try Checkpoint.openTensors(choice?.path ?? path)
    notices =
      (choice?.notices ?? []) + source.notices + (isMerged ? [] : adapter.map { [$0.notice] } ?? [])
    if let file = source as? GGUF {
      let model = try GGUFModel(file)
      configurationPath = file.path
      configuration = model.configuration
      self.source = model
      return
    }
    configurationPath = "\(folder)/\(Checkpoint.configurationFileName)"
    guard FilePaths.exists(configurationPath) else {
      throw InputError(
        configurationPath,
        "is missing beside the weights in \(FilePaths.lastComponent(of: source.path))",
        hint:
          "copy the model's \(Checkpoint.configurationFileName) there: it holds architecture and "
          + "sizes, which only GGUF files hold themselves")
    }
    configuration = try JSON.read(
      configurationPath, valueLimit: JSON.maximumUntrustedValueCount, dialect: .python)
    guard case .object = configuration else {
      throw InputError(configurationPath, "expected a JSON object of settings")
    }
    self.source = source
  }

  /// All elements of the tensor `name`, as `TensorSource` gives them.
  public func floats(_ name: String) throws(InputError) -> [Float] { try source.floats(name) }

  /// Opens the tensor file or the index of shards at `path`, whatever its format.
  package static func openTensors(_ path: String) throws(InputError) -> any TensorSource {
    if path.hasSuffix(ShardedCheckpoint.indexSuffix) { return try ShardedCheckpoint(path: path) }
    guard let format = try CheckpointFormat.of(path)
    else {
      let names = CheckpointFormat.allCases.map(\.rawValue).joined(separator: ", ")
      throw InputError(
        path, offset: 0,
        "not a checkpoint that is read: expected a file of \(names), or a folder with "
          + "\(configurationFileName) and one of them")
    }
    return try format.open(path)
  }
}
