// What `lodge-model approximate` tells: what stands for each operation, and what it costs.

public import Approximation
public import Bytes
public import Models
public import Program
import Sharing

/// The result of a conversion, as a table for people and JSON for machines.
public struct ConversionReport: Report, Sendable {
  private let recipe: Recipe
  private let calibration: Calibration
  private let program: SecureProgram
  public private(set) var replacements: ReplacementReport
  private let repair: Repair?
  private let unusualRows: UnusualRows?
  private let coarseWeights: [String]
  private let unevenNodes: [String]
  private let zeroRows: String?
  private let precisions: [PrecisionPlan.Candidate]
  /// Up to this unevenness the bits of activations are enough.
  private static let largestUnevenness = 64.0
  /// What of the result may be worse than expected, and why.
  public var warnings: [String] {
    (unusualRows?.notices ?? []) + coarseWeights + unevenNodes
      + [zeroRows].compactMap { $0 }
  }
  /// What of the checkpoint was taken and what was not, where there was a choice.
  public var notices: [String] = []

  /// - Throws: `InputError` where the recipe is not resolved.
  public init(
    model: Model, recipe: Recipe, calibration: Calibration, densities: (any DensitySource)? = nil,
    program: SecureProgram, repair: Repair? = nil, unusualRows: UnusualRows? = nil,
    precisions: [PrecisionPlan.Candidate] = []
  ) throws(InputError) {
    self.recipe = recipe
    self.precisions = precisions
    self.repair = repair
    self.unusualRows = unusualRows
    coarseWeights = program.coarseWeights(calibration).map { weight, error in
      "\(weight.name) is rounded by \(Figure.percent(error)) of its root mean square: it is too "
        + "small beside what it is multiplied with"
    }
    // Values of such channels have few bits, whatever the weights have.
    unevenNodes = model.nodes.compactMap { node in
      guard let unevenness = calibration.unevenChannels[node.name],
        unevenness > ConversionReport.largestUnevenness
      else { return nil }
      return
        "\(node.name): some channels are far smaller than the others, and what reads them is as "
        + "much larger: rounding weighs \(Figure.text(unevenness)) times as much there"
    }
    zeroRows = ConversionReport.zeroRows(of: model, recipe, calibration)
    self.calibration = calibration
    self.program = program
    replacements = try ReplacementReport(
      model: model, recipe: recipe, calibration: calibration, densities: densities,
      program: program)
  }

  /// The normalisations that take rows of zeros for larger ones, which are zero as well.
  private static func zeroRows(of model: Model, _ recipe: Recipe, _ calibration: Calibration)
    -> String?
  {
    let headroom = calibration.varianceHeadroom(recipe.headroom, for: model)
    let nodes = model.nodes.filter { node in
      switch node.operation {
      case .layerNorm(_, let settings), .rmsNorm(_, let settings):
        calibration.leavesOutZeros(node.name, epsilon: settings.epsilon, headroom: headroom)
      default: false
      }
    }
    guard let first = nodes.first else { return nil }
    let rest = nodes.count > 1 ? " and \(nodes.count - 1) more" : ""
    return
      "\(first.name)\(rest): rows of zeros lie too far below all others for one table of roots; they "
      + "are divided as small ones are, and stay zero"
  }

  /// Whether every operation is listed.
  public var isComplete: Bool {
    get { replacements.isComplete }
    set { replacements.isComplete = newValue }
  }

  public var document: TextDocument {
    let parts: [TextDocument?] = [
      replacements.document, repair?.document, precisionTable, TextDocument(closing),
    ]
    return TextDocument(parts.compactMap { $0 })
  }

  private var closing: String {
    """
    Calibrated on \(Quantity.count(calibration.textCount, "text")), \
    \(Quantity.count(calibration.tokenCount, "token")); ranges are kept with a headroom of \
    \(recipe.headroom).
    Recipe \(recipe.name), \(recipe.fractionalBits) fractional bits, embedding held by \
    \(recipe.embedding == .secret ? "nobody (secret)" : "the client").\
    \(GateReport.noiseText(program.noise).map { "\n\($0)" } ?? "")
    Program: \(Quantity.count(program.nodes.count, "operation")), \
    \(Quantity.count(program.weights.count, "shared weight")); see \
    `lodge-check program` and `lodge-check cost`.\
    \(isComplete ? "" : "\n--all lists every operation.")\(shown)
    """
  }

  /// What a party sees, between two servers.
  private var shown: String {
    let sentences = LeakageEntry.sentences(program, .twoServer)
    if sentences.isEmpty { return "" }
    return "\n\nWhat this program shows (party 1 is the user where a provider serves it):\n"
      + sentences.joined(separator: "\n")
  }

  /// What the model would cost with other numbers of fractional bits.
  private var precisionTable: TextDocument? {
    if precisions.isEmpty { return nil }
    let step = program.kind.isDecoder ? "token" : "text"
    var table = TextTable([
      ("fractional bits", .right), ("\(step) flights", .right), ("\(step) bytes", .right),
      ("dealt", .right), ("", .name),
    ])
    for candidate in precisions {
      table.addRow([
        "\(candidate.fractionalBits)", "\(candidate.flightCount)",
        Quantity.text(byteCount: candidate.openedByteCount),
        Quantity.text(byteCount: candidate.dealtByteCount),
        candidate.fractionalBits == recipe.fractionalBits ? "taken" : "",
      ])
    }
    return TextDocument(table)
  }

  public var json: JSON {
    var members: [String: JSON] = [
      "precisions": .array(
        precisions.map { candidate in
          [
            "fractionalBits": .integer(candidate.fractionalBits),
            "flights": .integer(candidate.flightCount),
            "openedBytes": .integer(candidate.openedByteCount),
            "dealtBytes": .integer(candidate.dealtByteCount),
            "seconds": .number(candidate.seconds),
          ]
        }),
      "repair": repair?.json ?? .null, "recipe": recipe.json, "replacements": replacements.json,
      "calibration": calibration.json,
      "operationCount": .integer(program.nodes.count),
      "weightCount": .integer(program.weights.count),
      "notices": .array(notices.map(JSON.string)),
      "warnings": .array(warnings.map(JSON.string)),
    ]
    if program.noise > 0 { members["noise"] = .integer(program.noise) }
    return .object(members)
  }
}

extension Repair {
  /// The error of each layer against the original before and after.
  fileprivate var document: TextDocument {
    var table = TextTable([
      ("refitted", .name), ("error before", .right), ("after", .right), ("penalty", .right),
    ])
    for layer in layers {
      table.addRow([
        layer.node, ReplacementReport.text(layer.errorBefore),
        ReplacementReport.text(layer.errorAfter),
        layer.penalty.map(ReplacementReport.text) ?? "kept",
      ])
    }
    return """
      \(table)

      Errors are relative, of a layer's outputs on text that it was not fitted on.
      """
  }

  fileprivate var json: JSON {
    .array(
      layers.map { layer in
        [
          "layer": .string(layer.node), "errorBefore": .number(layer.errorBefore),
          "errorAfter": .number(layer.errorAfter),
          "penalty": layer.penalty.map(JSON.number) ?? .null,
        ]
      })
  }
}
