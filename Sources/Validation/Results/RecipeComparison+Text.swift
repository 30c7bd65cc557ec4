// A comparison of recipes as tables for people.

import Approximation
public import Bytes
import Program
import Sharing

extension RecipeComparison {
  public var document: TextDocument {
    let what =
      isDecoder
      ? "the last token after a prompt of \(session.promptCapacity) and \(session.newCapacity) new"
      : "a text of \(session.promptCapacity) tokens"
    let names = networks.map { "\($0.name) \($0.text)" }.joined(separator: "; ")
    return """
      \(accuracyTable)\(referenceNote)

      \(costTable)

      Costs are of \(what) with \(deployment == .providerUser
        ? "a provider and its user" : "two servers"): flights, bytes that each party sends\
      \(deployment == .providerUser ? " or in each flight who sends more" : ""), and network time \
      (\(names)).
      Correlations are those of a session by its \(session.rowCapacity) tokens, both files together.

      Who learns what beyond its own input and output:
      \(leakageTable)
      """
  }

  /// Files with weights of their own are each compared with themselves, which tells little.
  private var referenceNote: String {
    let originals = entries.map { ($0.result.logits[.original], $0.result.embeddings[.original]) }
    guard let first = originals.first, originals.contains(where: { $0 != first }) else { return "" }
    return """

      The files hold different weights, and each is compared with its own in float: give --reference \
      CHECKPOINT to compare all with one original.
      """
  }

  /// "accurate", or with the file where recipes of one name are compared.
  func title(_ entry: Entry) -> String {
    let name = entry.file.recipe.name
    let isShared = entries.filter { $0.file.recipe.name == name }.count > 1
    return isShared ? "\(name) (\(FilePaths.lastComponent(of: entry.path)))" : name
  }

  private var accuracyTable: TextTable {
    guard isDecoder else { return encoderTable }
    var table = TextTable([
      ("recipe", .name), ("perplexity", .right), ("increase", .right), ("top-1", .right),
      ("top-5", .right), ("mean KL", .right), ("mean error", .right), ("outside range", .right),
      ("headroom bits", .right),
    ])
    if let original = entries.first?.result.logits[.original] {
      table.addRow(
        ["original", Figure.text(original.perplexity)] + [String](repeating: "", count: 7))
    }
    for entry in entries {
      guard let metrics = entry.result.logits[.ring] else { continue }
      table.addRow([
        title(entry), Figure.text(metrics.perplexity),
        Figure.percent(entry.result.perplexityIncrease(.ring) ?? .nan),
        Figure.percent(metrics.topAgreement), Figure.percent(metrics.topFiveAgreement),
        Figure.text(metrics.meanDivergence), Figure.text(metrics.meanError),
        Figure.percent(entry.result.outsideShare), String(entry.result.headroom),
      ])
    }
    return table
  }

  private var encoderTable: TextTable {
    var table = TextTable([
      ("recipe", .name), ("mean cosine", .right), ("smallest cosine", .right),
      ("Spearman", .right), ("mean error", .right), ("outside range", .right),
      ("headroom bits", .right),
    ])
    func decimal(_ value: Double?, _ digits: Int) -> String {
      value.map { Quantity.decimal($0, fractionDigits: digits) } ?? ""
    }
    if let original = entries.first?.result.spearman(.original) {
      table.addRow(["original", "", "", decimal(original, 5), "", "", ""])
    }
    for entry in entries {
      guard let metrics = entry.result.embeddings[.ring] else { continue }
      table.addRow([
        title(entry), decimal(metrics.meanCosine, 7), decimal(metrics.minimumCosine, 7),
        decimal(entry.result.spearman(.ring), 5), Figure.text(metrics.meanError),
        Figure.percent(entry.result.outsideShare), String(entry.result.headroom),
      ])
    }
    return table
  }

  private var costTable: TextTable {
    var columns: [(title: String, column: TextTable.Column)] = [
      ("recipe", .name), ("flights", .right), ("bytes", .right),
    ]
    columns += networks.map { ($0.name, .right) }
    columns += [("correlations", .right), ("shown to \(deployment.role(ofParty: 1))", .prose)]
    var table = TextTable(columns)
    for entry in entries {
      let cost = step(entry)
      table.addRow(
        [title(entry), String(cost.roundCount), Quantity.text(byteCount: byteCount(cost))]
          + networks.map { Quantity.text(seconds: seconds(cost, $0)) }
          + [Quantity.text(byteCount: correlationByteCountPerToken(entry)), shown(entry)])
    }
    return table
  }

  /// The functions whose arguments party 1 sees, in random order.
  private func shown(_ entry: Entry) -> String {
    var names: [String] = []
    for node in entry.program.nodes {
      guard case .permuted(_, let function) = node.operation, !names.contains(function.rule.name)
      else { continue }
      names.append(function.rule.name)
    }
    return names.isEmpty ? "nothing" : names.joined(separator: ", ")
  }

  /// What is learned, once, with the recipes that it holds for where not for all.
  private var leakageTable: TextTable {
    var order: [LeakageEntry] = []
    for entry in entries {
      for leak in leakage(entry) where !order.contains(leak) { order.append(leak) }
    }
    var table = TextTable([("who", .left), ("where", .left), ("learns", .prose)])
    for leak in order {
      let holders = entries.filter { leakage($0).contains(leak) }
      let only =
        holders.count == entries.count ? "" : " (\(holders.map(title).joined(separator: ", ")))"
      table.addRow([leak.role, leak.operations, "\(leak.learns)\(only)"])
    }
    return table
  }
}
