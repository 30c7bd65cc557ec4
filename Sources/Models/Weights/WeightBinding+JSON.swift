// Weight bindings as data, for programs that read and write the checkpoint's own tensors.

public import Bytes

extension LoadedModel {
  /// For each weight of the graph, by name: the checkpoint's `key`, the `storedShape` of that
  /// tensor, and how the weight of shape `shape` is taken from it.
  ///
  /// `transposed`: the tensor is [inputs, outputs], its axes flattened into these two;
  /// `outputRanges`: the outputs that the weight consists of, [first, end) in this order, where it
  /// is not all of them; `moreKeys`: tensors of the same shape that follow it; `projection`: a
  /// tensor, [outputs, inputs], that the rows of the first are multiplied by; `factor`: what the elements are multiplied by; `addend`: what is then
  /// added to them.
  public var bindingsJSON: JSON { .object(bindings.mapValues(\.json)) }
}

extension WeightBinding {
  var json: JSON {
    var members: [String: JSON] = [
      "key": .string(key), "shape": .array(shape.map(JSON.integer)),
      "storedShape": .array(storedShape.map(JSON.integer)), "transposed": .bool(isTransposed),
      "factor": .number(Double(factor)), "addend": .number(Double(addend)),
    ]
    if !moreKeys.isEmpty { members["moreKeys"] = .array(moreKeys.map(JSON.string)) }
    if let projection {
      members["projection"] = [
        "key": .string(projection.key), "shape": .array(projection.shape.map(JSON.integer)),
      ]
    }
    if let outputRanges {
      members["outputRanges"] = .array(
        outputRanges.map { [.integer($0.lowerBound), .integer($0.upperBound)] })
    }
    return .object(members)
  }
}
