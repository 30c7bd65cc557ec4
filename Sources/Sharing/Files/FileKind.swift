// What lies at a path where a file of another kind is expected, and which command comes before.

public import Bytes
import Checkpoints
import Containers

/// Kinds of files and folders along the way from a checkpoint to sessions.
public enum FileKind: String, Sendable {
  case checkpoint
  case model
  case calibration
  case shares
  case bundle
  case dealer
  case client
  case batch
  case correlations

  /// Recognises what is at `path`; nil where it is nothing of these.
  public init?(at path: String) {
    if FilePaths.isFolder(path) {
      var kinds: [FileKind] = []
      let bundles = ["dealer", "party0", "party1", "provider", "user"].map {
        "\(path)/\($0).bundle"
      }
      if bundles.contains(where: FilePaths.exists) { kinds.append(.shares) }
      if FilePaths.exists("\(path)/dealer.batch") { kinds.append(.correlations) }
      if FilePaths.exists("\(path)/\(Checkpoint.configurationFileName)")
        || (try? Checkpoint(path: path)) != nil
      {
        kinds.append(.checkpoint)
      }
      // A folder may hold all of them.
      guard kinds.count == 1 else { return nil }
      self = kinds[0]
    } else if let reader = try? ContainerReader(path: path, kind: nil, verifying: false) {
      self.init(rawValue: reader.kind)
    } else if let format = (try? CheckpointFormat(contentOf: path)) ?? nil,
      // Damaged files of ours are HDF5, too.
      format != .hdf5 || (try? HDF5Checkpoint(path: path)) != nil
    {
      self = .checkpoint
    } else {
      return nil
    }
  }

  private var name: String {
    switch self {
    case .checkpoint: "a checkpoint"
    case .model: "a converted model"
    case .calibration: "a calibration"
    case .shares: "a folder of bundles"
    case .bundle: "a party's bundle"
    case .dealer: "the dealer's bundle"
    case .client: "a client's bundle"
    case .batch: "a dealer's batch"
    case .correlations: "correlated randomness"
    }
  }

  /// The command that makes a file of this kind.
  private var origin: String {
    switch self {
    case .checkpoint: "give the folder or the tensor file that the model was converted from"
    case .model:
      "'lodge-model approximate CHECKPOINT --tokens TEXT --out model.lodge' makes one of a "
        + "checkpoint"
    case .calibration:
      "'lodge-model calibrate CHECKPOINT --tokens TEXT --out FILE' makes one of a checkpoint"
    case .shares, .bundle, .dealer, .client:
      "'lodge-model share model.lodge --out DIR' makes the bundles of a converted model"
    case .batch, .correlations: "'lodge-deal DIR --out CORR' makes them of a folder of bundles"
    }
  }

  /// What `body` gives; where it fails because something else is at `path`, an error that says what
  /// is there and which command comes before.
  public static func expecting<Result>(
    _ kind: FileKind, at path: String, _ body: () throws(InputError) -> Result
  ) throws(InputError) -> Result {
    do { return try body() } catch {
      if error.place == "kind" {
        throw InputError(error.source, place: error.place, error.cause, hint: kind.origin)
      }
      guard let found = FileKind(at: path), found != kind else { throw error }
      throw InputError(
        path, "is \(found.name), \(kind.name) is expected", hint: kind.origin)
    }
  }
}

extension ContainerReader {
  /// Opens and verifies the container at `path`, which should be of `kind`.
  static func open(_ path: String, _ kind: FileKind) throws(InputError) -> ContainerReader {
    try FileKind.expecting(kind, at: path) { () throws(InputError) in
      try ContainerReader(path: path, kind: kind.rawValue, verifying: true)
    }
  }
}
