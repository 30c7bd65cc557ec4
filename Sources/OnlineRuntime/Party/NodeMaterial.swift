// What a party derives once a session for each operation: layouts, streams, ciphers of keys, tables.

import Bytes
import Program
import Randomness
import Rings
import Sharing

/// The randomness of one operation in one session; deriving it anew for every step costs more than
/// most operations.
struct NodeMaterial {
  /// The correlated arrays that the operation consumes.
  let components: [CorrelationComponent]
  /// By component: where its words come from when they are not in this party's file.
  let seeded: [RandomStream?]
  /// Of an `open`: this party's shares of the masks.
  let mask: RandomStream?
  /// Of comparisons by keys.
  let comparison: ComparisonFunction?
  /// Of lookups.
  let point: PointFunction?
  let tables: PointTables?
  /// Of both: this party's roots of the keys.
  let keyRoots: RandomStream?
  /// Of comparisons by bits: this party's shares of the mask bits.
  let comparisonMask: RandomStream?

  init(_ index: Int, of program: SecureProgram, _ material: some SessionMaterial) {
    let streams = material.streams
    components = program.correlationComponents(index)
    seeded = components.indices.map { number in
      SecureProgram.holder(node: index, component: number) == material.party
        ? nil : streams.correlation(node: index, component: number)
    }
    let operation = program.nodes[index].operation
    if case .open = operation { mask = streams.mask(node: index) } else { mask = nil }
    switch operation.dealtKey?.key {
    case .comparison(let layout)?:
      comparison = ComparisonFunction(fixedKey: material.comparisonKey, layout: layout)
      point = nil
    case .point(let layout)?:
      comparison = nil
      point = PointFunction(fixedKey: material.comparisonKey, layout: layout)
    case nil: (comparison, point) = (nil, nil)
    }
    if case .lookup(_, let function) = operation { tables = function.tables } else { tables = nil }
    keyRoots = operation.dealtKey == nil ? nil : streams.keyRoots(node: index)
    if case .piecewiseLinear(_, let function) = operation, function.comparison == .bits {
      comparisonMask = streams.comparisonMask(node: index)
    } else {
      comparisonMask = nil
    }
  }
}

extension PartyInterpreter {
  /// This party's shares of a correlated array at `ranges` of its words, stored or from its seed.
  func words(node: Int, component: Int, ranges: [Range<Int>]) throws(InputError) -> [UInt64] {
    if let stream = derived[node].seeded[component] { return stream.words(in: ranges) }
    return try material.storedWords(node: node, component: component, ranges: ranges)
  }
}
