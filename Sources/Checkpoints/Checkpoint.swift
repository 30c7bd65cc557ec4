// A checkpoint as users name it: a Hugging Face folder, or a tensor file with config.json beside it.

public import Bytes

/// Configuration and tensors of one trained model; opening it reads headers only.
public struct Checkpoint: Sendable {
  public static let configurationFileName = "config.json"
  public static let safetensorsFileName = "model.safetensors"

  /// Path of config.json.
  public let configurationPath: String
  /// The whole of config.json, a JSON object.
  public let configuration: JSON
  public let source: any TensorSource

  public var tensors: [TensorDescription] { source.tensors }

  public init(configurationPath: String, configuration: JSON, source: any TensorSource) {
    self.configurationPath = configurationPath
    self.configuration = configuration
    self.source = source
  }

  /// Opens the folder or the .safetensors file at `path`.
  /// - Throws: `InputError` where a file is absent, of a format that is not read, or malformed.
  public init(path: String) throws(InputError) {
    let isFolder = FilePaths.isFolder(path)
    let folder = isFolder ? FilePaths.withoutTrailingSlashes(path) : FilePaths.folder(of: path)
    let source = try Checkpoint.openTensors(isFolder ? Checkpoint.tensorFile(in: folder) : path)
    configurationPath = "\(folder)/\(Checkpoint.configurationFileName)"
    configuration = try JSON.read(configurationPath)
    guard case .object = configuration else {
      throw InputError(configurationPath, "expected a JSON object")
    }
    self.source = source
  }

  public func floats(_ name: String) throws(InputError) -> [Float] { try source.floats(name) }

  /// The one tensor file of a checkpoint folder.
  private static func tensorFile(in folder: String) throws(InputError) -> String {
    let path = "\(folder)/\(safetensorsFileName)"
    if FilePaths.exists(path) { return path }
    if FilePaths.exists("\(path).index.json") {
      throw InputError(
        folder,
        "checkpoints in several files (\(safetensorsFileName).index.json) "
          + "are not read")
    }
    throw InputError(folder, "holds no \(safetensorsFileName)")
  }

  /// Chooses the reader by the file's name.
  private static func openTensors(_ path: String) throws(InputError) -> any TensorSource {
    guard FilePaths.exists(path) else { throw InputError(path, "no such file or folder") }
    guard path.hasSuffix(".safetensors") else {
      throw InputError(
        path,
        "not a checkpoint that is read: expected a .safetensors file, or a folder with "
          + "\(configurationFileName) and \(safetensorsFileName)")
    }
    return try Safetensors(path: path)
  }
}
