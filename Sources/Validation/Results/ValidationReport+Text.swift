// A validation as tables for people.

import Approximation
public import Bytes
import Models
import Program
import Sharing

extension ValidationReport {
  public var document: TextDocument {
    let set = result.set
    let model = evaluator.model
    let pairs = set.pairs.isEmpty ? "" : ", \(Quantity.count(set.pairs.count, "scored pair"))"
    let predicted =
      result.kind.isDecoder ? ", \(Quantity.grouped(set.scoredCount)) of them predicted" : ""
    var sections: [TextDocument] = [
      """
      \(path): \(file.checkpoint) (\(model.family), \(model.kind.rawValue)), recipe \
      \(file.recipe.name), \(file.recipe.fractionalBits) fractional bits
      \(Quantity.count(set.textCount, "text"))\(pairs), \(Quantity.count(set.tokenCount, "token")) in \
      \(Quantity.count(set.windows.count, "window")) of at most \(set.longestWindow)\(predicted); \
      \(Quantity.text(seconds: result.wallSeconds))
      """, TextDocument(stageTable), TextDocument(functionTable),
      TextDocument(findings),
    ]
    if !thresholds.limits.isEmpty { sections.append(TextDocument(thresholdTable)) }
    return TextDocument(sections)
  }

  private var stageTable: TextTable {
    result.kind.isDecoder ? decoderTable : encoderTable
  }

  private var decoderTable: TextTable {
    var table = TextTable([
      ("stage", .left), ("perplexity", .right), ("increase", .right), ("top-1", .right),
      ("top-5", .right), ("mean KL", .right), ("largest KL", .right), ("mean error", .right),
      ("largest error", .right),
    ])
    for stage in result.stages {
      guard let metrics = result.logits[stage] else { continue }
      if stage == .original {
        table.addRow(
          [stage.title, Figure.text(metrics.perplexity)] + [String](repeating: "", count: 7))
        continue
      }
      table.addRow([
        stage.title, Figure.text(metrics.perplexity),
        result.perplexityIncrease(stage).map(Figure.percent) ?? "sample",
        Figure.percent(metrics.topAgreement), Figure.percent(metrics.topFiveAgreement),
        Figure.text(metrics.meanDivergence), Figure.text(metrics.maximumDivergence),
        Figure.text(metrics.meanError), Figure.text(metrics.maximumError),
      ])
    }
    return table
  }

  private var encoderTable: TextTable {
    let isScored = result.embeddings.values.contains { $0.topAgreement != nil }
    var table = TextTable(
      [("stage", .left)] + (isScored ? [("top-1", .right)] : [])
        + [
          ("mean cosine", .right), ("smallest cosine", .right), ("Spearman", .right),
          ("Pearson", .right), ("mean error", .right), ("largest error", .right),
        ])
    func decimal(_ value: Double?) -> String {
      value.map { Quantity.decimal($0, fractionDigits: 5) } ?? ""
    }
    for stage in result.stages {
      guard let metrics = result.embeddings[stage] else { continue }
      let isOriginal = stage == .original
      let agreement = isOriginal ? "" : metrics.topAgreement.map(Figure.percent) ?? ""
      table.addRow(
        [stage.title] + (isScored ? [agreement] : []) + [
          isOriginal ? "" : Quantity.decimal(metrics.meanCosine, fractionDigits: 7),
          isOriginal ? "" : Quantity.decimal(metrics.minimumCosine, fractionDigits: 7),
          decimal(result.spearman(stage)), decimal(result.pearson(stage)),
          isOriginal ? "" : Figure.text(metrics.meanError),
          isOriginal ? "" : Figure.text(metrics.maximumError),
        ])
    }
    return table
  }

  private var functionTable: TextTable {
    var table = TextTable([
      ("function", .left), ("replaced by", .prose), ("nodes", .right), ("inputs", .right),
      ("smallest", .right), ("largest", .right), ("outside range", .right),
      ("mean error", .right), ("largest error", .right),
    ])
    for (function, nodeCount, statistics) in classes {
      table.addRow([
        function.original, function.replacement, String(nodeCount),
        Quantity.grouped(statistics.count),
        statistics.seen.map { Figure.text($0.lowerBound) } ?? "",
        statistics.seen.map { Figure.text($0.upperBound) } ?? "",
        Figure.percent(statistics.outsideShare), Figure.text(statistics.meanError),
        Figure.text(statistics.maximumError),
      ])
    }
    return table
  }

  private var findings: String {
    let nodes = evaluator.model.nodes
    var lines = growths.map { stage, growth in
      guard let growth else {
        return "Relative error of nodes, \(stage.title): grows nowhere above "
          + "\(Figure.text(ErrorGrowth.level)) at once."
      }
      return "Relative error of nodes, \(stage.title): first grows at \(nodes[growth.node].name), "
        + "from \(Figure.text(growth.inputError)) to \(Figure.text(growth.error))."
    }
    lines.append(
      "Fixed point against replacements in float: mean error of the output "
        + "\(Figure.text(result.ringAgainstApproximated.mean)), largest "
        + "\(Figure.text(result.ringAgainstApproximated.maximum)).")
    if let sample = result.secure {
      lines.append(
        "Two parties on a sample: \(Quantity.count(sample.stepCount, "step")) of "
          + "\(Quantity.count(sample.sessionCount, "session")), "
          + "\(Quantity.count(sample.wordCount, "output word")) as in the simulator bit for bit; "
          + "\(Quantity.count(sample.roundCount, "flight")), party 0 sent "
          + "\(Quantity.text(byteCount: sample.byteCount)), "
          + "\(Quantity.text(seconds: sample.seconds)) over loopback.")
    }
    if let tightest {
      lines.append(
        "Headroom: \(Quantity.count(tightest.headroom, "bit")) below 2^62, at "
          + "\(tightest.label).")
    }
    if let noise = GateReport.noiseText(evaluator.program.noise) { lines.append(noise) }
    return lines.joined(separator: "\n")
  }

  private var thresholdTable: TextTable {
    var table = TextTable([
      ("threshold", .left), ("limit", .right), ("value", .right), ("", .left),
    ])
    for criterion in Criterion.allCases {
      guard let limit = thresholds.limits[criterion],
        let value = try? criterion.value(in: result).get()
      else { continue }
      let isMissed = misses.contains { $0.criterion == criterion }
      table.addRow(
        [criterion.option, Figure.text(limit), Figure.text(value), isMissed ? "MISSED" : "kept"],
        isMarked: isMissed)
    }
    return table
  }
}
