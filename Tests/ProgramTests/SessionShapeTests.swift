// Which dealt elements a step uses: steps never share one, and a full session uses all.

import Bytes
import Models
import Program
import TestSupport
import Testing

struct SessionShapeTests {
  static let columns: [ColumnExtent] = [
    .fixed(1), .fixed(5), .keys(heads: 1, halvings: 0), .keys(heads: 3, halvings: 0),
    .keys(heads: 3, halvings: 1), .keys(heads: 2, halvings: 2), .keys(heads: 2, halvings: 5),
    .pairs(heads: 3, halvings: 0), .pairs(heads: 1, halvings: 1), .pairs(heads: 2, halvings: 3),
    .keys(heads: 3, halvings: 0, window: 3), .keys(heads: 2, halvings: 1, window: 1),
    .keys(heads: 1, halvings: 0, window: 5), .pairs(heads: 2, halvings: 0, window: 4),
  ]

  /// The steps of a decoder whose prompt has `prompt` rows.
  static func steps(_ session: SessionShape, prompt: Int) -> [SessionStep] {
    var steps = [SessionStep(session: session, rows: 0..<prompt, index: 0)]
    for index in 1..<max(session.newCapacity, 1) {
      let row = prompt + index - 1
      steps.append(
        SessionStep(session: session, rows: row..<row + 1, index: index, promptLength: prompt))
    }
    return steps
  }

  /// All elements that the steps use, in order; records an issue where a step uses too many.
  static func elements(_ steps: [SessionStep], _ shape: ValueShape) -> [Int] {
    steps.flatMap { step in
      let elements = step.dealtRanges(shape).flatMap { Array($0) }
      #expect(elements.count == step.elementCount(shape), "\(shape)")
      return elements
    }
  }

  @Test(arguments: [(5, 1), (5, 4), (1, 3), (1, 1), (8, 7)])
  func decoderStepsAreDisjoint(prompt: Int, new: Int) throws {
    let session = SessionShape(kind: .decoder, promptCapacity: prompt, newCapacity: new)
    #expect(session.rowCapacity == prompt + new - 1)
    for columns in Self.columns {
      for rows in [RowExtent.step, .last] {
        if rows == .last, case .keys = columns { continue }
        if rows == .last, case .pairs = columns { continue }
        let shape = ValueShape(rows, columns)
        let dealt = session.dealtCount(shape)
        #expect(SessionStep.dealing(session).elementCount(shape) == dealt, "\(shape)")
        for used in 1...prompt {
          let elements = Self.elements(Self.steps(session, prompt: used), shape)
          // A shorter prompt uses the first elements, without a gap and without a repetition.
          #expect(elements == Array(0..<elements.count), "\(shape) \(used)")
          #expect(elements.count <= dealt)
          if used == prompt || rows == .last { #expect(elements.count == dealt, "\(shape)") }
        }
      }
    }
  }

  /// A shorter context uses the first columns of each run, and no element is used twice.
  @Test(arguments: [(5, 1), (5, 4), (2, 3), (1, 1), (8, 7)])
  func prefixStepsAreDisjoint(prompt: Int, new: Int) throws {
    let session = SessionShape(kind: .prefixDecoder, promptCapacity: prompt, newCapacity: new)
    for columns in Self.columns {
      let shape = ValueShape(.step, columns)
      let dealt = session.dealtCount(shape)
      #expect(SessionStep.dealing(session).elementCount(shape) == dealt, "\(shape)")
      for used in 1...prompt {
        let steps = Self.steps(session, prompt: used)
        let elements = Self.elements(steps, shape)
        #expect(zip(elements, elements.dropFirst()).allSatisfy { $0 < $1 }, "\(shape)")
        #expect((elements.last ?? -1) < dealt)
        if used == prompt { #expect(elements == Array(0..<dealt), "\(shape)") }
        // Every run begins where its dealt run does.
        var expected: [Int] = []
        var start = 0
        for (step, row) in steps.flatMap({ step in step.rows.map { (step, $0) } }) {
          for _ in 0..<shape.columns.runCount {
            expected += (0..<step.runLength(shape, row - step.rows.lowerBound)).map { start + $0 }
            start += session.dealtRunLength(shape.columns, row: row)
          }
        }
        #expect(elements == expected, "\(shape) \(used)")
      }
    }
  }

  /// Rows of the context see all of it, in a window those on both sides; later ones those before them.
  @Test func contextsSeeEachOther() {
    let session = SessionShape(kind: .prefixDecoder, promptCapacity: 6, newCapacity: 4)
    #expect(
      (0..<9).map { session.dealtKeys(row: $0, window: nil).upperBound } == [
        5, 5, 5, 5, 5, 6, 7, 8, 9,
      ])
    let steps = Self.steps(session, prompt: 4)
    #expect(
      steps.flatMap { step in step.rows.map { step.keys(position: $0, window: nil) } } == [
        0..<3, 0..<3, 0..<3, 0..<4, 0..<5, 0..<6, 0..<7,
      ])
    #expect(
      steps.flatMap { step in step.rows.map { step.keys(position: $0, window: 2) } } == [
        0..<2, 0..<3, 1..<3, 2..<4, 3..<5, 4..<6, 5..<7,
      ])
    #expect(
      steps.flatMap { step in step.rows.map(step.contextPosition) } == [0, 1, 2, 2, 2, 2, 2])
    #expect(steps.flatMap { step in step.rows.map(step.blockPosition) } == [0, 0, 0, 1, 2, 3, 4])
    // Without any context there is no mask: nothing traps.
    let lone = SessionStep(session: session, rows: 0..<1, index: 0)
    #expect(lone.contextPosition(0) == 0 && lone.blockPosition(0) == 1)
  }

  /// Rows see the last keys of the window in a decoder, those on both sides in an encoder.
  @Test func windowsHoldTheirKeys() {
    let decoder = SessionShape(kind: .decoder, promptCapacity: 6, newCapacity: 3)
    #expect(
      (0..<8).map { decoder.dealtKeys(row: $0, window: 3) } == [
        0..<1, 0..<2, 0..<3, 1..<4, 2..<5, 3..<6, 4..<7, 5..<8,
      ])
    let encoder = SessionShape(kind: .encoder, promptCapacity: 6, newCapacity: 0)
    let step = SessionStep(session: encoder, rows: 0..<4, index: 0)
    #expect((0..<4).map { step.keys(position: $0, window: 2) } == [0..<2, 0..<3, 1..<4, 2..<4])
    #expect(
      (0..<6).map { encoder.dealtKeys(row: $0, window: 2) } == [
        0..<2, 0..<3, 1..<4, 2..<5, 3..<6, 4..<6,
      ])
    #expect(step.keys(position: 3, window: nil) == 0..<4)
  }

  @Test(arguments: [1, 2, 7])
  func encoderStepsUseTheFirstKeysOfEachRun(capacity: Int) throws {
    let session = SessionShape(kind: .encoder, promptCapacity: capacity, newCapacity: 0)
    #expect(session.rowCapacity == capacity)
    let shapes =
      Self.columns.map { ValueShape(.step, $0) } + [
        ValueShape(.step, .sessionKeys(heads: 3)), ValueShape(.session, .fixed(4)),
        ValueShape(.step, .sessionKeys(heads: 2, window: 3)),
      ]
    for shape in shapes {
      let dealt = session.dealtCount(shape)
      #expect(SessionStep.dealing(session).elementCount(shape) == dealt)
      for used in 1...capacity {
        let step = SessionStep(session: session, rows: 0..<used, index: 0)
        let elements = Self.elements([step], shape)
        #expect(zip(elements, elements.dropFirst()).allSatisfy { $0 < $1 }, "\(shape)")
        #expect((elements.last ?? -1) < dealt)
        if used == capacity { #expect(elements == Array(0..<dealt), "\(shape)") }
        // Row, run and column keep their places in the dealt layout.
        let heads = shape.columns.runCount
        var expected: [Int] = []
        var start = 0
        for row in 0..<step.rowCount(shape.rows) {
          for _ in 0..<heads {
            expected += (0..<step.runLength(shape, row)).map { start + $0 }
            start += session.dealtRunLength(shape.columns, row: row)
          }
        }
        #expect(elements == expected, "\(shape) \(used)")
      }
    }
  }

  @Test(arguments: [true, false])
  func stepsCoverWhatTheDealerDeals(isDecoder: Bool) throws {
    let program = try isDecoder ? Programs.decoder() : Programs.encoder()
    let session = SessionShape(
      kind: program.kind, promptCapacity: isDecoder ? 4 : 6, newCapacity: isDecoder ? 3 : 0)
    let steps =
      isDecoder
      ? Self.steps(session, prompt: 4) : [SessionStep(session: session, rows: 0..<6, index: 0)]
    for (index, node) in program.nodes.enumerated() {
      var shapes = program.correlationComponents(index).map(\.shape)
      switch node.operation {
      case .open(let x, _), .piecewiseLinear(let x, _): shapes.append(program.values[x].shape)
      default: break
      }
      for shape in shapes {
        let elements = Self.elements(steps, shape)
        #expect(
          elements == Array(0..<session.dealtCount(shape)),
          "operation \(index) (\(node.operation.name)) \(shape)")
      }
    }
  }

  @Test func requestsAreChecked() throws {
    let decoder = try Programs.decoder()
    let encoder = try Programs.encoder()
    func place(_ program: SecureProgram, _ prompt: Int, _ new: Int?) -> String? {
      inputError { _ = try SessionShape.requested(program: program, prompt: prompt, new: new) }?
        .source
    }
    #expect(place(decoder, 4, 3) == nil)
    #expect(place(decoder, 5, 3) == "--prompt")
    #expect(place(decoder, 4, 0) == "--new")
    #expect(place(decoder, 4, nil) == "--prompt")
    #expect(place(encoder, 6, nil) == nil)
    #expect(place(encoder, 6, 0) == nil)
    #expect(place(encoder, 7, nil) == "--prompt")
    #expect(place(encoder, 6, 1) == "--new")
    let prefix = try GraphKindProgramTests.program(GraphKind.prefixes[0])
    #expect(place(prefix, 2, 1) == nil)
    #expect(place(prefix, 1, 1) == "--prompt")
  }
}
