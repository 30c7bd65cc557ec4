// A model graph together with the checkpoint that its weights are read from.

public import Bytes
public import Checkpoints

/// A graph whose weights are all present, with the right shapes, in an open checkpoint.
public struct LoadedModel: WeightSource {
  public let model: Model
  public let checkpoint: Checkpoint
  /// Keys of tensors that the family is known to have and that inference does not use.
  public let unusedKeys: [String]
  let bindings: [String: WeightBinding]

  init(
    model: Model, checkpoint: Checkpoint, unusedKeys: [String], bindings: [String: WeightBinding],
    notices: [String]
  ) {
    self.model = model
    self.checkpoint = checkpoint
    self.unusedKeys = unusedKeys
    self.bindings = bindings
    self.notices = notices
  }

  /// What the user should know about what was taken for the model and what was not.
  public internal(set) var notices: [String]

  /// Path of the file that holds the weights.
  public var path: String { checkpoint.source.path }

  /// The checkpoint's key of the tensor that holds the weight `name`, maybe with others, or nil
  /// where the graph has no such weight.
  public func checkpointKey(of name: String) -> String? { bindings[name]?.key }

  /// Keys of all tensors that the weight `name` is taken from.
  func checkpointKeys(of name: String) -> [String] { bindings[name]?.tensors.map(\.key) ?? [] }

  /// Reads and converts the weight `name` from the mapped file, anew at each call.
  /// - Throws: `InputError` for a name that the graph does not have, and for weights that are not
  ///   finite or not of a type that is read.
  public func weight(_ name: String) throws(InputError) -> [Float] {
    let binding = try binding(name)
    return try read(binding, 0..<binding.elementCount)
  }

  public func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    try read(binding(name), elements)
  }

  /// That of the checkpoint's tensor, where it is one that files of ours have, too.
  public func encoding(of name: String) -> WeightEncoding {
    guard let binding = bindings[name], binding.isPlain,
      let tensor = try? checkpoint.source.tensor(binding.key)
    else { return .float32 }
    return WeightEncoding(rawValue: tensor.type.rawValue) ?? .float32
  }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    let binding = try binding(name)
    guard let ranges = binding.storedRanges(of: elements) else { return nil }
    if ranges.count == 1 { return try checkpoint.source.storedWords(binding.key, in: ranges[0]) }
    var result: [UInt16] = []
    for range in ranges {
      guard let words = try checkpoint.source.storedWords(binding.key, in: range) else {
        return nil
      }
      result += words
    }
    return result
  }

  private func read(_ binding: WeightBinding, _ elements: Range<Int>) throws(InputError) -> [Float]
  {
    try binding.floats(in: elements) { (key, range) throws(InputError) in
      try checkpoint.source.floats(key, in: range)
    }
  }

  private func binding(_ name: String) throws(InputError) -> WeightBinding {
    guard let binding = bindings[name] else {
      throw InputError(path, place: name, "the model has no such weight")
    }
    return binding
  }
}
