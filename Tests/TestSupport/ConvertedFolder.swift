// A model converted on disk: shares and dealt batches in a scratch folder.

public import Approximation
import Bytes
import Correlations
import Foundation
public import Models
public import Program
import Sharing

/// The files that `lodge-model` and `lodge-deal` write, in a folder that goes with this object.
public final class ConvertedFolder: Sendable {
  public let scratch: ScratchFolder
  public let shares: String
  public let program: SecureProgram
  private let bundle: DealerBundle

  /// Converts the checkpoint at `path`.
  public init(
    path: String, calibrationTexts: [[Int]], output: ModelOutput? = nil, recipe: Recipe = .accurate
  ) throws {
    scratch = try ScratchFolder()
    shares = "\(scratch.path)/shares"
    let loaded = try ModelLoader.load(path: path, output: output)
    let calibration = try Calibration.observe(
      FloatInterpreter(loaded), texts: calibrationTexts, source: "calibration texts")
    let model = "\(scratch.path)/model.lodge"
    try ModelFile.write(
      to: model, model: loaded.model, recipe: recipe, calibration: calibration,
      checkpoint: "checkpoint", weights: loaded)
    program = try ShareWriter.share(ModelFile(path: model), into: shares).program
    bundle = try DealerBundle(path: "\(shares)/dealer.bundle")
  }

  /// Deals `sessions` into the folder `name` and returns its path.
  public func deal(_ name: String, sessions: Range<Int>, shape: SessionShape) throws -> String {
    let folder = "\(scratch.path)/\(name)"
    let batch = try Batch(folder: folder, conversion: bundle.conversion, shape: shape)
    _ = try batch.deal(sessions: sessions, program: program, weights: bundle)
    return folder
  }

  /// Removes a batch that is not needed any more.
  public func remove(_ folder: String) throws { try FileManager.default.removeItem(atPath: folder) }
}
