// The same function with channels that are small in one tensor and large in the next.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct UnevenTests {
  /// Rows or columns of tensors of every layer, by the ends of their names.
  struct Change: CustomTestStringConvertible, Sendable {
    var name: String
    var checkpoint: TinyCheckpoint
    /// Rows, and elements of vectors, that are multiplied by the factor.
    var multiplied: [(name: String, rows: Range<Int>)]
    /// Rows or columns that are divided by it.
    var divided: [(name: String, range: Range<Int>, isColumns: Bool)]
    var testDescription: String { name }

    func applied(_ factor: Float) -> TinyCheckpoint {
      var result = checkpoint
      for name in checkpoint.tensors.keys {
        for side in multiplied where name.hasSuffix(side.name) {
          result.scale(name, rows: side.rows, by: factor)
        }
        for side in divided where name.hasSuffix(side.name) {
          if side.isColumns {
            result.scale(name, columns: side.range, by: 1 / factor)
          } else {
            result.scale(name, rows: side.range, by: 1 / factor)
          }
        }
      }
      return result
    }
  }

  /// Of one key head of two, which two query heads of width 4 read; and of a third of a feed-forward.
  static let changes = [
    Change(
      name: "llama v o", checkpoint: .llama(), multiplied: [("v_proj.weight", 0..<4)],
      divided: [("o_proj.weight", 0..<8, true)]),
    Change(
      name: "llama k q", checkpoint: .llama(), multiplied: [("k_proj.weight", 4..<8)],
      divided: [("q_proj.weight", 8..<16, false)]),
    Change(
      // Elements 1 and 3 of a head are turned together.
      name: "llama pair of k q", checkpoint: .llama(),
      multiplied: [("k_proj.weight", 1..<2), ("k_proj.weight", 3..<4)],
      divided: [1, 3, 5, 7].map { ("q_proj.weight", $0..<$0 + 1, false) }),
    Change(
      name: "llama up down", checkpoint: .llama(), multiplied: [("up_proj.weight", 0..<4)],
      divided: [("down_proj.weight", 0..<4, true)]),
    Change(
      name: "opt v o", checkpoint: .opt(),
      multiplied: [("v_proj.weight", 0..<4), ("v_proj.bias", 0..<4)],
      divided: [("out_proj.weight", 0..<4, true)]),
    Change(
      name: "opt q k", checkpoint: .opt(),
      multiplied: [("q_proj.weight", 0..<3), ("q_proj.bias", 0..<3)],
      divided: [("k_proj.weight", 0..<3, false), ("k_proj.bias", 0..<3, false)]),
    Change(
      name: "opt fc1 fc2", checkpoint: .opt(),
      multiplied: [("fc1.weight", 3..<5), ("fc1.bias", 3..<5)],
      divided: [("fc2.weight", 3..<5, true)]),
    Change(
      name: "bert v o", checkpoint: .bert(),
      multiplied: [("self.value.weight", 4..<8), ("self.value.bias", 4..<8)],
      divided: [("attention.output.dense.weight", 4..<8, true)]),
  ]

  private static let texts = ScaleTests.texts
  private static let prompts = ScaleTests.prompts

  @Test(arguments: changes, [Float(1e-2), 1e-4, 1e-6, 1e4])
  func unevenChannelsStayPrecise(_ change: Change, factor: Float) throws {
    let plain = try NumbersModel(change.checkpoint, texts: Self.texts)
    let model = try NumbersModel(change.applied(factor), texts: Self.texts)
    #expect(model.approximated.report.warnings == plain.approximated.report.warnings)
    let (before, after) = (
      try plain.error(over: Self.prompts), try model.error(over: Self.prompts)
    )
    #expect(
      after.mean <= 3 * before.mean && after.largest <= 3 * before.largest,
      "\(after) was \(before)")
  }

  /// Every value of the float model but the channels themselves is the same, bit for bit.
  @Test(arguments: changes) func theFloatModelStays(_ change: Change) throws {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: change.applied(1e-4).write(to: folder))
    let equalised = try EqualisedWeights(loaded.model, loaded)
    #expect(equalised.channelCount > 0)
    for name in loaded.model.weights.map(\.name) {
      let (whole, original) = (try equalised.weight(name), try loaded.weight(name))
      for (value, old) in zip(whole, original) where old != 0 {
        #expect((value / old).significand == 1)
      }
      let part = min(1, whole.count - 1)..<whole.count
      #expect(try equalised.weight(name, in: part) == Array(whole[part]))
    }
    for prompt in Self.prompts {
      #expect(
        try FloatInterpreter(loaded.model, weights: equalised).run(tokens: prompt)
          == FloatInterpreter(loaded).run(tokens: prompt))
    }
  }

  /// Nothing of an ordinary model changes, whatever its family.
  @Test(arguments: FamilyVector.all) func ordinaryModelsKeepTheirWeights(_ vector: FamilyVector)
    throws
  {
    let loaded = try ModelLoader.load(path: vector.folder.path)
    let equalised = try EqualisedWeights(loaded.model, loaded)
    #expect(equalised.channelCount == 0)
    #expect(loaded.model.channelPairs.count >= 2)
    var calibration = Calibration()
    try calibration.measureWeights(of: loaded.model, loaded)
    #expect(calibration.unevenChannels.isEmpty)
    for shape in loaded.model.weights {
      let values = try loaded.weight(shape.name).map(Double.init)
      let squares = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
      let found = try #require(calibration.statistics(of: shape.name)?.rootMeanSquare)
      #expect(abs(found - squares.squareRoot()) <= 1e-6 * found, "\(shape.name)")
    }
  }

  /// A neuron that never writes anything may be read by anything.
  @Test(arguments: [
    ("llama", "up_proj.weight", [], "down_proj.weight"),
    ("opt", "fc1.weight", ["fc1.bias"], "fc2.weight"),
    (
      "bert", "intermediate.dense.weight", ["intermediate.dense.bias"],
      "layer.0.output.dense.weight"
    ),
  ]) func whatReadsZerosTakesNoBits(
    family: String, written: String, biases: [String], read: String
  ) throws {
    func model(_ factor: Float) throws -> NumbersModel {
      var checkpoint = ["llama": TinyCheckpoint.llama(), "opt": .opt(), "bert": .bert()][family]
      for name in checkpoint?.tensors.keys.map({ $0 }) ?? [] {
        if ([written] + biases).contains(where: name.hasSuffix) {
          checkpoint?.scale(name, rows: 5..<6, by: 0)
        }
        if name.hasSuffix(read) { checkpoint?.scale(name, columns: 5..<6, by: factor) }
      }
      return try NumbersModel(#require(checkpoint), texts: Self.texts)
    }
    let (plain, outlier) = (try model(1), try model(1e6))
    for prompt in Self.prompts {
      let (before, after) = (try plain.error(prompt), try outlier.error(prompt))
      #expect(after.mean <= 3 * before.mean && after.largest <= 3 * before.largest, "\(after)")
    }
  }

  /// A GELU stands between: the channels cannot be made even, and are named.
  @Test func whatCannotBeMadeEvenIsNamed() throws {
    let change = Change(
      name: "bert fc", checkpoint: .bert(),
      multiplied: [("0.intermediate.dense.weight", 0..<3), ("0.intermediate.dense.bias", 0..<3)],
      divided: [("0.output.dense.weight", 0..<3, true)])
    let model = try NumbersModel(change.applied(1e-4), texts: Self.texts)
    let warnings = model.approximated.report.warnings
    #expect(warnings.count == 1, "\(warnings)")
    #expect(
      warnings.first?.hasPrefix("layers.0.feedForward.up: some channels are far smaller than the")
        == true)
    #expect(
      try NumbersModel(change.applied(0.2), texts: Self.texts).approximated.report.warnings == [])
  }

  /// One element that is far larger than all others leaves these their bits.
  @Test(arguments: ["o_proj.weight", "down_proj.weight"]) func anOutlierTakesNoBits(name: String)
    throws
  {
    var checkpoint = TinyCheckpoint.llama()
    let key = try #require(checkpoint.tensors.keys.sorted().first { $0.hasSuffix(name) })
    checkpoint.tensors[key]?.values[0] = 1e6
    let program = try NumbersModel(checkpoint, texts: Self.texts).program
    let node = name.hasPrefix("o") ? "attention.output" : "feedForward.down"
    let weight = try #require(program.weights.first { $0.name == "layers.0.\(node).weight" })
    // The others are 0.29 as a root mean square.
    #expect(pow(2, Double(-weight.fractionalBits)) / 12.0.squareRoot() < 1e-3 * 0.29)
  }

  /// `validate` fails by itself where fixed point alone changes the residual stream.
  @Test func tooFewBitsFailWithoutALimit() throws {
    func faults(_ checkpoint: TinyCheckpoint, isEqualised: Bool) throws -> [String] {
      let folder = try ScratchFolder()
      let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
      let weights: any WeightSource =
        isEqualised ? try EqualisedWeights(loaded.model, loaded) : loaded
      return try LittleTextTests.report(loaded, weights, calibration: Self.texts, Self.texts).faults
    }
    let change = Self.changes[3]
    #expect(try faults(change.applied(1e-5), isEqualised: true) == [])
    let found = try faults(change.applied(1e-4), isEqualised: false)
    #expect(found.count == 1 && found[0].contains("fixed point changes it by"), "\(found)")
    #expect(found.first?.hasPrefix("layers.0.feedForwardResidual: ") == true, "\(found)")
  }
}

extension TinyCheckpoint {
  /// Multiplies rows of the tensor `name`, or elements of a vector.
  mutating func scale(_ name: String, rows: Range<Int>, by factor: Float) {
    guard var tensor = tensors[name] else { return }
    let width = tensor.shape.count > 1 ? tensor.shape[1] : 1
    for index in rows.lowerBound * width..<rows.upperBound * width {
      tensor.values[index] *= factor
    }
    tensors[name] = tensor
  }

  /// Multiplies columns of the matrix `name`.
  mutating func scale(_ name: String, columns: Range<Int>, by factor: Float) {
    guard var tensor = tensors[name] else { return }
    for index in tensor.values.indices where columns.contains(index % tensor.shape[1]) {
      tensor.values[index] *= factor
    }
    tensors[name] = tensor
  }
}
