// The limit on what a session may take, so that no interpreter's counts overflow.

public import Bytes
import Rings

extension SecureProgram {
  /// Throws where a session takes more than 2^62 bits or products of elements: every count that
  /// cost, dealer, parties and simulator make of it is below that, and fits `Int`.
  ///
  /// - Parameters:
  ///   - source: The file or option that asks for the session.
  ///   - place: Where in it.
  public func checkSizes(of session: SessionShape, source: String, place: String = "")
    throws(InputError)
  {
    var elementCounts: [ValueShape: Double] = [:]
    func elementCount(_ value: ValueID) -> Double {
      let shape = values[value].shape
      if let count = elementCounts[shape] { return count }
      let count = Double(session.dealtCount(shape))
      elementCounts[shape] = count
      return count
    }
    var total = 0.0
    for (index, node) in nodes.enumerated() {
      let counts = (node.operation.inputs + node.outputs).map(elementCount)
      total += (counts.max() ?? 0) * elementSize(index, of: session)
      guard total < 0x1p62 else {
        throw InputError(
          source, place: place,
          "a session of \(session.rowCapacity) positions takes more than 2^59 bytes at operation "
            + "\(index) (\(node.operation.name), \(node.label))",
          hint: "use shorter sessions, or a model with fewer heads or narrower layers")
      }
    }
  }

  /// At least the bits that an element of operation `index` takes in files, messages and memory,
  /// and the products that it takes, with elements to fill its last tile.
  private func elementSize(_ index: Int, of session: SessionShape) -> Double {
    let operation = nodes[index].operation
    // Its own word, both masks, and those of what it reads, which may be many.
    var size = 64 * Double(4 + operation.inputs.count + nodes[index].outputs.count)
    for component in correlationComponents(index) {
      switch component.layout {
      case .words(let perElement), .lanes(let perElement): size += 2 * 64 * Double(perElement)
      case .tiles(let planeCount): size += 2 * 64 * Double(planeCount)
      }
    }
    switch operation {
    case .linear(_, let weight), .blockLinear(_, _, let weight):
      size += Double(weights[weight].elementCount)
    case .scores(_, let value, _, let keyHeads, _), .mix(_, let value, _, let keyHeads):
      size += 2 * Double(values[value].shape.width ?? 0) / Double(keyHeads)
    case .piecewiseLinear(_, let function):
      size += 2 * 8 * Double(function.keyLayout.byteCount)
      size += 2 * 64 * Double(function.knots.count) * Double(1 + function.circuit.maskCount)
    case .exponential(_, let function):
      size += 2 * 8 * Double(function.keyLayout.byteCount)
      // Outputs at some points.
      size += 2 * 64 * Double(function.pointCount)
    case .lookup(_, let function):
      size += 2 * 8 * Double(function.keyLayout.byteCount)
      // Nodes of the key, and outputs.
      size += 64 * Double((2 + function.keyLayout.payload) * function.visitedCellCount)
    case .permuted(_, let function):
      // Masks of operand and result, the permutation, and messages; with a factor twice as many.
      size += (function.factor == nil ? 6 : 14) * 64
    case .input, .open, .widen, .reveal, .openBlocks, .selectBlocks, .spreadBlocks, .view,
      .truncate,
      .scale, .multiply,
      .polynomial,
      .coarseSteps, .combine, .addWeight,
      .addDistance, .rotate, .sum, .pairDifference, .pairMerge, .padKeys, .padRows, .lastRow,
      .firstRow, .meanRow, .output:
      break
    }
    return size
  }
}
