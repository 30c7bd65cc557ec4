// model.lodge: the graph with its recipe, calibrated ranges and weights in float.

public import Approximation
public import Bytes
import Containers
public import Models
public import Program

/// A converted model on disk. It holds the owner's plaintext weights.
public struct ModelFile: WeightSource {
  public let model: Model
  public let recipe: Recipe
  public let calibration: Calibration
  /// Name of the folder or file the model was read from.
  public let checkpoint: String
  let reader: ContainerReader

  /// Writes `path` with the weights that `weight` gives, row-major.
  public static func write(
    to path: String, model: Model, recipe: Recipe, calibration: Calibration, checkpoint: String,
    weight: (String) throws(InputError) -> [Float]
  ) throws(InputError) {
    let header: JSON = [
      "model": model.json, "recipe": recipe.json, "calibration": calibration.json,
      "checkpoint": .string(checkpoint),
    ]
    let writer = try ContainerWriter(
      path: path, kind: "model", header: header,
      datasets: model.weights.map {
        DatasetDescription(
          name: "weights/\($0.name)", elementType: .f32, shape: $0.shape, storage: .zstd)
      })
    for shape in model.weights {
      try writer.write("weights/\(shape.name)", values: weight(shape.name))
    }
    _ = try writer.finish()
  }

  /// Opens `path` and checks its graph, recipe and calibration; weights are read on demand.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader(path: path, kind: "model", verifying: true)
    var header = try JSONReader(reader.header, source: path)
    model = try Model(json: header.value("model"), source: path)
    recipe = try Recipe(json: header.value("recipe"), source: path)
    calibration = try Calibration(json: header.value("calibration"), source: path)
    checkpoint = try header.string("checkpoint")
    try header.finish()
    self.reader = reader
  }

  /// Elements of a weight of the graph, row-major.
  public func weight(_ name: String) throws(InputError) -> [Float] {
    let shape = model.weights.first { $0.name == name }?.shape
    return try reader.read("weights/\(name)", as: Float.self, shape: shape)
  }

  /// The graph lowered with the recipe and the calibrated ranges, and where its nodes have gone.
  public func lowered() throws(InputError) -> LoweredModel {
    try LoweredModel(model, recipe: recipe, calibration: calibration)
  }

  /// The graph lowered with the recipe and the calibrated ranges.
  public func program() throws(InputError) -> SecureProgram {
    try SecureProgram.lower(model, recipe: recipe, calibration: calibration)
  }
}
