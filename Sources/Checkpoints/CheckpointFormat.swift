// The formats that are read, and how a file's own bytes tell which one it is.

public import Bytes
import HDF5Reading

/// Formats in the order of preference where a folder holds several.
public enum CheckpointFormat: String, CaseIterable, Sendable {
  case safetensors
  case pyTorch = "PyTorch"
  case hdf5 = "HDF5"
  case gguf = "GGUF"

  /// Names that writers of the format use, the best first; indices name the files of shards.
  var fileNames: [String] {
    switch self {
    case .safetensors: ["model.safetensors", "model.safetensors.index.json"]
    case .pyTorch: ["pytorch_model.bin", "pytorch_model.bin.index.json"]
    case .hdf5: ["tf_model.h5", "model.weights.h5"]
    case .gguf: ["model.gguf"]
    }
  }

  /// Ends of file names that stand for the format where the content does not tell.
  private var extensions: [String] {
    switch self {
    case .safetensors: [".safetensors"]
    case .pyTorch: [".bin", ".pt", ".pth"]
    case .hdf5: [".h5", ".hdf5"]
    case .gguf: [".gguf"]
    }
  }

  /// The format that the beginning of the file at `path` shows, whatever its name.
  ///
  /// A safetensors file has no signature: a length that fits into the file and a brace stand for
  /// it. The result is nil where nothing is recognised.
  /// - Throws: `InputError` where the file cannot be opened.
  public init?(contentOf path: String) throws(InputError) {
    let file = try MappedFile(path: path)
    let head = try file.bytes(in: 0..<min(16, file.byteCount))
    func begins(_ signature: [UInt8]) -> Bool { head.starts(with: signature) }
    if begins(GGUF.signature) {
      self = .gguf
    } else if begins(HDF5Superblock.signature) {
      self = .hdf5
    } else if begins([0x50, 0x4b, 0x03, 0x04]) || begins(PyTorchCheckpoint.legacySignature) {
      self = .pyTorch
    } else if head.count >= 10, head[8] == UInt8(ascii: "{"),
      head[..<8].reversed().reduce(UInt64(0), { $0 << 8 | UInt64($1) })
        <= UInt64(file.byteCount - 8)
    {
      self = .safetensors
    } else {
      return nil
    }
  }

  /// The format of the file at `path` by its content, else by its name; nil where neither tells.
  /// - Throws: `InputError` where the file cannot be opened, or is a text with the name of weights.
  static func of(_ path: String) throws(InputError) -> CheckpointFormat? {
    if let format = try CheckpointFormat(contentOf: path) { return format }
    guard let format = CheckpointFormat(nameOf: path) else { return nil }
    let file = try MappedFile(path: path)
    let head = try file.bytes(in: 0..<min(60, file.byteCount))
    let isText = head.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x0a || $0 == 0x0d }
    guard !isText || head.count < 8 else {
      let line = String(decoding: head.prefix { $0 >= 0x20 }, as: UTF8.self)
      throw InputError(
        path, offset: 0, "is a text in place of \(format.rawValue) weights: \"\(line)\"",
        hint: "download the file again")
    }
    return format
  }

  /// The format that the name of `path` stands for.
  init?(nameOf path: String) {
    guard
      let format = CheckpointFormat.allCases.first(where: {
        $0.extensions.contains { path.hasSuffix($0) }
      })
    else { return nil }
    self = format
  }

  /// Opens one file of this format.
  /// - Throws: `InputError` naming what is wrong with it.
  func open(_ path: String) throws(InputError) -> any TensorSource {
    switch self {
    case .safetensors: try Safetensors(path: path)
    case .pyTorch: try PyTorchCheckpoint(path: path)
    case .hdf5: try HDF5Checkpoint(path: path)
    case .gguf: try SplitGGUF.open(path)
    }
  }
}
