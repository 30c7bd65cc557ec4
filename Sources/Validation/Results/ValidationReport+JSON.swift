// A validation as JSON; `formats/validation.md` specifies it.

import Approximation
public import Bytes
import Models
import Program
import Sharing

extension ValidationReport {
  /// Version of the layout.
  public static let version = 1

  public var json: JSON {
    [
      "format": "lodge-validation", "version": .integer(ValidationReport.version),
      "model": modelJSON, "evaluation": result.json,
      "stages": .array(result.stages.map(result.json)),
      "fixedPointError": [
        "mean": .figure(result.ringAgainstApproximated.mean),
        "largest": .figure(result.ringAgainstApproximated.maximum),
      ],
      "nodes": .array(evaluator.model.nodes.indices.map(node)),
      "firstGrowth": .object(
        Dictionary(
          uniqueKeysWithValues: growths.map { stage, growth in
            (stage.rawValue, growth.map(self.growth) ?? .null)
          })),
      "headroom": headroomJSON,
      "replacements": .array(
        zip(evaluator.functions, result.functions).map(replacement)),
      "points": pointsJSON, "cost": cost.json,
      "thresholds": .array(
        Criterion.allCases.compactMap { criterion in
          thresholds.limits[criterion].map { threshold(criterion, limit: $0) }
        }),
      "faults": .array(faults.map(JSON.string)),
      "isPassed": .bool(misses.isEmpty && faults.isEmpty), "secure": result.secure?.json ?? .null,
    ]
  }

  private var modelJSON: JSON {
    var members: [String: JSON] = [
      "file": .string(FilePaths.lastComponent(of: path)), "checkpoint": .string(file.checkpoint),
      "family": .string(evaluator.model.family), "kind": .string(result.kind.rawValue),
      "parameterCount": .integer(evaluator.model.weights.reduce(0) { $0 + $1.elementCount }),
      "recipe": file.recipe.json,
      "calibration": [
        "textCount": .integer(file.calibration.textCount),
        "tokenCount": .integer(file.calibration.tokenCount),
      ],
    ]
    let noise = evaluator.program.noise
    if noise > 0 { members["noise"] = .integer(noise) }
    return .object(members)
  }

  private func node(_ index: Int) -> JSON {
    [
      "name": .string(evaluator.model.nodes[index].name),
      "approximated": .figure(result.approximatedErrors[index].value),
      "ring": .figure(result.ringErrors[index].value),
      "largestRingError": .figure(result.ringErrors[index].maximum),
    ]
  }

  private func growth(_ growth: ErrorGrowth) -> JSON {
    [
      "node": .string(evaluator.model.nodes[growth.node].name), "error": .figure(growth.error),
      "inputError": .figure(growth.inputError),
    ]
  }

  private var headroomJSON: JSON {
    [
      "limitBits": .integer(BitWidthHistogram.limit),
      "tightest": tightest.map {
        ["label": .string($0.label), "bits": .integer($0.headroom)]
      } ?? .null,
      "parts": .array(
        parts.map { name, widths in
          [
            "part": .string(name), "bits": .integer(widths.headroom),
            "counts": .array(widths.counts.map(JSON.integer)),
          ]
        }),
    ]
  }

  private func replacement(_ function: ReplacedFunction, _ statistics: FunctionStatistics) -> JSON {
    let inputs = statistics.inputs
    let borders = inputs.borders
    return [
      "node": .string(function.node), "function": .string(function.original),
      "replacement": .string(function.replacement),
      "validRange": .range(function.validRange), "seenRange": .range(inputs.seen),
      "inputCount": .integer(statistics.count), "outsideCount": .integer(statistics.outsideCount),
      "meanError": .figure(statistics.meanError),
      "largestError": .figure(statistics.maximumError),
      "isLogarithmic": .bool(function.isLogarithmic),
      "curve": [
        "x": .array(borders.map { .figure($0) }),
        "exact": .array(borders.map { .figure(function.exact($0)) }),
        "replaced": .array(borders.map { .figure(function.replaced($0)) }),
      ],
      "histogram": [
        "counts": .array(inputs.counts.map(JSON.integer)), "below": .integer(inputs.belowCount),
        "above": .integer(inputs.aboveCount),
      ],
      "calibratedShares": function.calibratedShares(borders: borders).map {
        .array($0.map { .figure($0) })
      } ?? .null,
    ]
  }

  /// Points that are drawn at most.
  private static let pointCount = 3000

  private var pointsJSON: JSON {
    let step = max(1, result.points.count / ValidationReport.pointCount)
    let points = stride(from: 0, to: result.points.count, by: step).map { result.points[$0] }
    return [
      "original": .array(points.map { .figure(Double($0.original)) }),
      "approximated": .array(points.map { .figure(Double($0.approximated)) }),
      "ring": .array(points.map { .figure(Double($0.ring)) }),
    ]
  }

  private func threshold(_ criterion: Criterion, limit: Double) -> JSON {
    let value = try? criterion.value(in: result).get()
    return [
      "name": .string(criterion.rawValue), "limit": .number(limit), "value": .figure(value),
      "isKept": .bool(!misses.contains { $0.criterion == criterion }),
    ]
  }
}
