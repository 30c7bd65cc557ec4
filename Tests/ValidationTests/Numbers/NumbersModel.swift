// A small checkpoint converted as `lodge-model approximate` does, and its answers beside float's.

import Approximation
import Bytes
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Validation

struct NumbersModel {
  private let folder: ScratchFolder
  let loaded: LoadedModel
  let float: FloatInterpreter
  let approximated: ApproximatedModel
  /// Plaintext ring elements of every weight.
  let weights: [[UInt64]]

  var program: SecureProgram { approximated.program }

  /// Of one precision, so that errors of two models can be compared, and with a ReLU that is exact but
  /// for roundings: which side a value near 0 is taken to be on is chance.
  static let recipe = {
    var recipe = Recipe.accurate.exact
    var function = PiecewisePolynomial.relu
    function.resolution = 0x1p-30
    recipe.choose(ReplacementChoice(PiecewiseActivation(function: function)), for: .relu)
    return recipe
  }()

  /// - Parameter files: What lies beside the checkpoint, by name.
  init(
    _ checkpoint: TinyCheckpoint, texts: [[Int]], recipe: Recipe = NumbersModel.recipe,
    output: ModelOutput? = nil, files: [String: JSON] = [:]
  ) throws {
    folder = try ScratchFolder()
    for (name, content) in files {
      try Folder.make(FilePaths.folder(of: folder.file(name)))
      _ = try folder.write(content.text.utf8, to: name)
    }
    loaded = try ModelLoader.load(path: checkpoint.write(to: folder), output: output)
    float = try FloatInterpreter(loaded)
    let equalised = try EqualisedWeights(loaded.model, loaded)
    approximated = try ApproximatedModel(
      loaded.model, weights: equalised, recipe: recipe,
      calibration: .observe(
        FloatInterpreter(loaded.model, weights: equalised), texts: texts, source: "texts"),
      texts: .init(texts, source: "texts"))
    let encoder = WeightEncoder(source: "checkpoint", weights: equalised)
    weights = try approximated.program.weights.map { try encoder.encode($0) }
  }

  /// The mean of the errors' means for `prompts`, the largest of all, and of float's outputs: one row by
  /// itself may have hardly any error.
  func error(over prompts: [[Int]]) throws -> (largest: Double, mean: Double, of: Double) {
    let errors = try prompts.map { try error($0) }
    return (
      errors.map(\.largest).max() ?? 0,
      errors.reduce(0) { $0 + $1.mean } / Double(errors.count), errors.map(\.of).max() ?? 0
    )
  }

  /// The largest error of the simulator's output rows for `tokens`, evaluated one by one, and the
  /// largest magnitude of float's.
  func error(_ tokens: [Int]) throws -> (largest: Double, mean: Double, of: Double) {
    let model = loaded.model
    let expected = try float.run(tokens: tokens)
    let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 7, count: 32)))
    var simulator = RingSimulator(
      program: program, weights: weights,
      streams: (0...1).map { batch.streams(session: 0, party: $0) })
    let session =
      model.kind == .decoder
      ? SessionShape(kind: .decoder, promptCapacity: 1, newCapacity: tokens.count)
      : SessionShape(kind: .encoder, promptCapacity: tokens.count, newCapacity: 0)
    let step =
      model.kind == .decoder
      ? SessionStep.dealing(session)
      : SessionStep(session: session, rows: 0..<tokens.count, index: 0)
    let words = simulator.step(step, input: oneHot(tokens))
    let scale = pow2(-(program.outputValue?.fractionalBits ?? 0))
    var result = (largest: 0.0, mean: 0.0, of: 0.0)
    for (word, value) in zip(words, expected.values) {
      let error = abs(Double(Int64(bitPattern: word)) * scale - Double(value))
      result.largest = max(result.largest, error)
      result.mean += error / Double(words.count)
      result.of = max(result.of, Double(abs(value)))
    }
    return result
  }

  func oneHot(_ tokens: [Int]) -> [UInt64] {
    let size = program.vocabularySize
    var rows = [UInt64](repeating: 0, count: tokens.count * size)
    for (row, token) in tokens.enumerated() { rows[row * size + token] = 1 }
    return rows
  }

  private func pow2(_ exponent: Int) -> Double {
    Double(sign: .plus, exponent: exponent, significand: 1)
  }
}

extension TinyCheckpoint {
  /// The elements of row `row` of the tensor `name` become what `change` makes of them.
  mutating func changeRow(_ row: Int, of name: String, _ change: (Float) -> Float) {
    guard var tensor = tensors[name] else { return }
    let width = tensor.shape[1]
    for index in row * width..<(row + 1) * width {
      tensor.values[index] = change(tensor.values[index])
    }
    tensors[name] = tensor
  }

  /// Multiplies all elements of the tensor `name`.
  mutating func scale(_ name: String, by factor: Float) {
    guard var tensor = tensors[name] else { return }
    tensor.values = tensor.values.map { $0 * factor }
    tensors[name] = tensor
  }
}
