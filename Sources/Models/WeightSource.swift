// Where an interpreter or a converter gets the weights of a graph from.

public import Bytes

/// Weights by their names in the graph.
public protocol WeightSource: Sendable {
  /// The weight `name`, row-major, as many elements as its `WeightShape` says.
  /// - Throws: `InputError` where the file that holds it cannot give it.
  func weight(_ name: String) throws(InputError) -> [Float]
}
