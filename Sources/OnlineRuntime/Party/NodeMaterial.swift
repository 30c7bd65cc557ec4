// What a party derives once a session for each operation: layouts, streams, ciphers of keys, tables.

import Bytes
import Program
import Randomness
import Rings
import Sharing

/// The randomness of one operation in one session; deriving it anew for every step costs more than
/// most operations.
struct NodeMaterial {
  /// One of the correlated arrays that the operation consumes.
  struct Component {
    let component: CorrelationComponent
    /// Where its words come from when they are not in this party's file.
    let seeded: StreamReader?
    /// Number of its shape.
    let shape: Int
  }

  let components: [Component]
  /// Of `open` and `widen`: this party's shares of the masks, and the number of their shape.
  let mask: (stream: StreamReader, shape: Int)?
  /// Of openings of running blocks: this party's shares of the masks of all.
  let blockMasks: BlockMasks?
  /// Of comparisons by keys.
  let comparison: ComparisonFunction?
  /// Of lookups and exponentials.
  let point: PointFunction?
  let tables: PointTables?
  let factors: Exponential.Factors?
  /// Of all of these: this party's roots of the keys.
  let keyRoots: StreamReader?
  /// Of comparisons by bits: this party's shares of the mask bits.
  let comparisonMask: StreamReader?
  /// Of piecewise linear functions.
  let pieces: PieceTables?
  /// Of permuted functions, at party 1: the masks of operand and result.
  let permuted: (operand: StreamReader, result: StreamReader)?
  /// The same of a factor, where there is one; at party 0 its pads, and those of differences.
  let permutedFactor: (first: StreamReader, second: StreamReader)?

  init(
    _ index: Int, of program: SecureProgram, _ material: some SessionMaterial,
    silent: [Int: Int], _ shapes: inout ShapeNumbers
  ) {
    let streams = material.streams
    components = program.correlationComponents(index).enumerated().map { number, component in
      Component(
        component: component,
        seeded: material.stores(node: index, component: number)
          ? nil : StreamReader(streams.correlation(node: index, component: number)),
        shape: shapes.number(of: component.shape))
    }
    let operation = program.nodes[index].operation
    mask =
      if program.sentOpening(index) != nil,
        let opener = program.maskOpener(of: program.nodes[index].outputs.lowerBound)
      {
        (
          StreamReader(streams.mask(node: opener, ofResult: silent[opener])),
          shapes.number(of: program.values[operation.inputs[0]].shape)
        )
      } else { nil }
    if case .openBlocks(let x, _) = operation {
      blockMasks = streams.blockMasks(
        node: index, program.values[x].shape.columns, material.session,
        comparisonKey: material.comparisonKey)
    } else {
      blockMasks = nil
    }
    switch operation.dealtKey?.key {
    case .comparison(let layout)?:
      comparison = ComparisonFunction(fixedKey: material.comparisonKey, layout: layout)
      point = nil
    case .point(let layout)?:
      comparison = nil
      point = PointFunction(fixedKey: material.comparisonKey, layout: layout)
    case nil: (comparison, point) = (nil, nil)
    }
    keyRoots = operation.dealtKey == nil ? nil : StreamReader(streams.keyRoots(node: index))
    if case .lookup(_, let function) = operation { tables = function.tables } else { tables = nil }
    if case .exponential(_, let function) = operation {
      factors = Exponential.Factors(function)
    } else {
      factors = nil
    }
    if case .permuted = operation, material.party == 1 {
      permuted = (
        StreamReader(streams.permutedOperand(node: index)),
        StreamReader(streams.permutedResult(node: index))
      )
    } else {
      permuted = nil
    }
    if case .permuted(_, let function) = operation, function.factor != nil {
      permutedFactor =
        material.party == 1
        ? (
          StreamReader(streams.permutedOperand(node: index, ofFactor: true)),
          StreamReader(streams.permutedResult(node: index, ofFactor: true))
        )
        : (
          StreamReader(streams.permutedFactor(node: index)),
          StreamReader(streams.permutedFactor(node: index, ofDifferences: true))
        )
    } else {
      permutedFactor = nil
    }
    if case .piecewiseLinear(_, let function) = operation {
      pieces = PieceTables(function)
      comparisonMask =
        function.comparison == .bits ? StreamReader(streams.comparisonMask(node: index)) : nil
    } else {
      (pieces, comparisonMask) = (nil, nil)
    }
  }
}

/// Numbers for different shapes, from 0 on: what depends on a shape is found out once a step.
struct ShapeNumbers {
  private(set) var shapes: [ValueShape] = []
  private var numbers: [ValueShape: Int] = [:]

  mutating func number(of shape: ValueShape) -> Int {
    if let number = numbers[shape] { return number }
    numbers[shape] = shapes.count
    shapes.append(shape)
    return shapes.count - 1
  }
}

extension PartyInterpreter {
  /// This party's shares of component `number` of node `node` for this step.
  func words(node: Int, component number: Int) throws(InputError) -> [UInt64] {
    let component = derived[node].components[number]
    let elements = ranges[component.shape]
    let words: [Range<Int>] =
      if case .words(perElement: 1) = component.component.layout {
        elements
      } else { elements.map { component.component.words(of: $0) } }
    return try self.words(node: node, component: number, ranges: words)
  }

  /// The same at `ranges` of its words, stored or from its seed.
  func words(node: Int, component: Int, ranges: [Range<Int>]) throws(InputError) -> [UInt64] {
    if let stream = derived[node].components[component].seeded { return stream.words(in: ranges) }
    return try material.storedWords(node: node, component: component, ranges: ranges)
  }
}
