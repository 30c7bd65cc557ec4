// model.lodge: the graph with its recipe, calibrated ranges and weights in float.

public import Approximation
public import Bytes
import Containers
public import Models
public import Program
import Randomness

/// A converted model on disk. It holds the owner's plaintext weights.
public struct ModelFile: WeightSource {
  public let model: Model
  public let recipe: Recipe
  public let calibration: Calibration
  /// Name of the folder or file the model was read from.
  public let checkpoint: String
  private let encodings: [String: WeightEncoding]
  private let reader: ContainerReader

  /// Writes `path` with the weights that `weights` gives, in their own encoding, part by part.
  ///
  /// `progress` is told how many elements were written at a time, from several threads.
  public static func write(
    to path: String, model: Model, recipe: Recipe, calibration: Calibration, checkpoint: String,
    weights: some WeightSource, memory: MemoryBudget = .default,
    progress: (Int) -> Void = { _ in }
  ) throws(InputError) {
    let encodings = Dictionary(
      uniqueKeysWithValues: model.weights.map { ($0.name, weights.encoding(of: $0.name)) })
    let table = CalibrationTable(calibration)
    let header: [String: JSON] = [
      "model": model.json, "recipe": recipe.json, "checkpoint": .string(checkpoint),
      "encodings": .object(encodings.mapValues { .string($0.rawValue) }),
    ]
    let writer = try ContainerWriter(
      path: path, kind: "model",
      header: .object(header.merging(table.members) { first, _ in first }),
      datasets: table.datasets
        + model.weights.map {
          DatasetDescription(
            name: "weights/\($0.name)",
            elementType: (encodings[$0.name] ?? .float32).elementType, shape: $0.shape,
            storage: .raw)
        })
    try table.write(to: writer)
    // The longest first, so that no thread starts it when the others are done.
    let order = model.weights.sorted { $0.elementCount > $1.elementCount }
    try ConcurrentTasks.run(order.count) { (index) throws(InputError) in
      let shape = order[index]
      try write(
        shape, of: weights, encodings[shape.name] ?? .float32,
        to: writer.region(of: "weights/\(shape.name)"), memory: memory)
      progress(shape.elementCount)
    }
    _ = try writer.finish()
  }

  /// Words that are copied as they are in one piece, which stays in the cache until it is written.
  private static let copiedWordCount = 1 << 17

  /// Writes the weight of `shape` from its beginning to its end, and its digest on the way.
  private static func write(
    _ shape: WeightShape, of weights: some WeightSource, _ encoding: WeightEncoding,
    to region: RawRegion, memory: MemoryBudget
  ) throws(InputError) {
    var digest = SHA256Hasher()
    var start = 0
    while start < shape.elementCount {
      let copied = start..<min(start + copiedWordCount, shape.elementCount)
      if encoding != .float32, let words = try weights.storedWords(shape.name, in: copied) {
        try region.write(words, atElement: start)
        unsafe digest.update(words.span.bytes)
        start = copied.upperBound
        continue
      }
      let part = start..<min(start + memory.weightPartElementCount, shape.elementCount)
      let values = try weights.weight(shape.name, in: part)
      if encoding == .float32 {
        try region.write(values, atElement: start)
        unsafe digest.update(values.span.bytes)
      } else {
        let words = encoding.words(values)
        try region.write(words, atElement: start)
        unsafe digest.update(words.span.bytes)
      }
      start = part.upperBound
    }
    if start > 0 { region.setDigest(digest.finalize()) }
  }

  /// Opens `path` and checks its graph, recipe and calibration; weights are read on demand.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader.open(path, .model)
    var header = try JSONReader(reader.header, source: path)
    model = try Model(json: header.value("model"), source: path)
    recipe = try Recipe(json: header.value("recipe"), source: path)
    calibration = try CalibrationTable.read(&header, reader)
    checkpoint = try header.string("checkpoint")
    var encodings: [String: WeightEncoding] = [:]
    let stored = try header.value("encodings")
    try header.finish()
    guard case .object(let members) = stored, members.count == model.weights.count else {
      throw header.failure("encodings", "expected one for each weight")
    }
    for shape in model.weights {
      guard case .string(let text)? = members[shape.name],
        let encoding = WeightEncoding(rawValue: text)
      else { throw header.failure("encodings.\(shape.name)", "expected F32, F16 or BF16") }
      encodings[shape.name] = encoding
      let dataset = try reader.description(of: "weights/\(shape.name)")
      guard dataset.elementType == encoding.elementType, dataset.shape == shape.shape else {
        throw InputError(
          path, place: "weights/\(shape.name)",
          "is \(dataset.elementType.rawValue) \(dataset.shape), expected "
            + "\(encoding.elementType.rawValue) \(shape.shape)")
      }
    }
    self.encodings = encodings
    self.reader = reader
  }

  /// All elements of a weight of the graph, row-major.
  public func weight(_ name: String) throws(InputError) -> [Float] {
    try weight(name, in: 0..<reader.description(of: "weights/\(name)").elementCount)
  }

  public func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    let dataset = "weights/\(name)"
    switch encoding(of: name) {
    case .float32: return try reader.elements(of: dataset, in: elements, as: Float.self)
    case .float16, .bfloat16:
      let words = try reader.elements(of: dataset, in: elements, as: UInt16.self)
      return encoding(of: name).floats(words)
    }
  }

  public func encoding(of name: String) -> WeightEncoding { encodings[name] ?? .float32 }

  /// The graph lowered with the recipe and the calibrated ranges, and where its nodes have gone.
  public func lowered() throws(InputError) -> LoweredModel {
    try LoweredModel(model, recipe: recipe, calibration: calibration)
  }

  /// The same of the graph without gates, in which all blocks run.
  public func ungatedProgram() throws(InputError) -> SecureProgram {
    try SecureProgram.lower(model.ungated, recipe: recipe, calibration: calibration)
  }

  /// The graph lowered with the recipe and the calibrated ranges.
  public func program() throws(InputError) -> SecureProgram {
    try SecureProgram.lower(model, recipe: recipe, calibration: calibration)
  }
}
