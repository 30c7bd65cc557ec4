// What `lodge-model calibrate` writes: everything observed of a model on real text.

public import Approximation
public import Bytes
import Containers
public import Models
import Randomness

/// A calibration and the model that it belongs to, in memory or on disk.
public struct CalibrationFile: Sendable {
  /// The quantiles that are written beside the histograms.
  public static let quantileShares = [0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999]
  private static let kind = "calibration"
  private static let quantilesName = "quantiles"
  /// Elements of each weight that a model is recognised by.
  private static let sampleElementCount = 16

  public let model: Model
  public private(set) var calibration: Calibration
  /// Name of the folder or file the model was read from.
  public let checkpoint: String
  /// SHA-256 over the graph's canonical JSON text and the first elements of every weight.
  private let modelDigest: [UInt8]

  /// What was observed of `model` with `weights`.
  public init(
    model: Model, weights: some WeightSource, checkpoint: String, calibration: Calibration
  ) throws(InputError) {
    self.model = model
    self.calibration = calibration
    self.checkpoint = checkpoint
    modelDigest = try CalibrationFile.digest(of: model, weights: weights)
  }

  /// Opens `path` and verifies its digests.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader.open(path, .calibration)
    var header = try JSONReader(reader.header, source: path)
    model = try Model(json: header.value("model"), source: path)
    checkpoint = try header.string("checkpoint")
    modelDigest = try header.hexadecimal("modelDigest", byteCount: 32)
    calibration = try CalibrationTable.read(&header, reader)
    try header.finish()
    let quantiles = try reader.read(CalibrationFile.quantilesName, as: Double.self)
    guard
      quantiles == CalibrationTable(calibration).quantiles(CalibrationFile.quantileShares)
    else {
      throw InputError(
        path, place: CalibrationFile.quantilesName, "are not those of the histograms")
    }
  }

  public func write(to path: String) throws(InputError) {
    let table = CalibrationTable(calibration)
    let header: [String: JSON] = [
      "model": model.json, "checkpoint": .string(checkpoint),
      "modelDigest": .string(modelDigest.hexadecimal),
    ]
    let shares = CalibrationFile.quantileShares
    let writer = try ContainerWriter(
      path: path, kind: CalibrationFile.kind,
      header: .object(header.merging(table.members) { first, _ in first }),
      datasets: table.datasets + [
        DatasetDescription(
          name: CalibrationFile.quantilesName, elementType: .f64,
          shape: [table.rowCount, shares.count])
      ])
    try table.write(to: writer)
    try writer.write(CalibrationFile.quantilesName, values: table.quantiles(shares))
    _ = try writer.finish()
  }

  /// Adds what was observed of the same model on other texts.
  /// - Throws: `InputError` where `other` is of another model.
  public mutating func merge(_ other: CalibrationFile) throws(InputError) {
    guard modelDigest == other.modelDigest else {
      throw InputError(
        "calibration",
        "the calibrations are of different models "
          + "(\(checkpoint) and \(other.checkpoint))")
    }
    calibration.merge(other.calibration)
  }

  /// Throws unless the calibration, which was read from `path`, is of `model` with these weights.
  public func check(_ model: Model, weights: some WeightSource, path: String) throws(InputError) {
    guard try CalibrationFile.digest(of: model, weights: weights) == modelDigest else {
      throw InputError(
        path, place: "modelDigest", "the calibration is of another model (\(checkpoint))",
        hint: "calibrate this one with `lodge-model calibrate`")
    }
  }

  /// The samples are few enough to be read at once from a model of any size.
  private static func digest(of model: Model, weights: some WeightSource) throws(InputError)
    -> [UInt8]
  {
    // Padding is no part of what is computed.
    var computed = model
    computed.padToken = nil
    var bytes = Array(computed.json.text.utf8)
    for shape in model.weights {
      let sample = try weights.weight(
        shape.name, in: 0..<min(sampleElementCount, shape.elementCount))
      for value in sample {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
          bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift))
        }
      }
    }
    return SHA256.digest(bytes)
  }
}
