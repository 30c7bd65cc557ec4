// The figures of a stage as JSON; `formats/validation.md` specifies them.

import Bytes

extension EvaluationResult {
  var json: JSON {
    [
      "textCount": .integer(set.textCount), "pairCount": .integer(set.pairs.count),
      "windowCount": .integer(set.windows.count), "window": .integer(set.window),
      "stride": .integer(set.stride), "tokenCount": .integer(set.tokenCount),
      "scoredCount": .integer(set.scoredCount), "seconds": .number(wallSeconds),
    ]
  }

  func json(_ stage: Stage) -> JSON {
    var members: [String: JSON] = [
      "stage": .string(stage.rawValue), "seconds": .figure(seconds[stage]),
    ]
    if let metrics = logits[stage] {
      members.merge([
        "perplexity": .figure(metrics.perplexity), "meanLoss": .figure(metrics.meanLoss),
        "perplexityIncrease": .figure(perplexityIncrease(stage)),
        "top1": .figure(metrics.topAgreement), "top5": .figure(metrics.topFiveAgreement),
        "meanDivergence": .figure(metrics.meanDivergence),
        "largestDivergence": .figure(metrics.maximumDivergence),
        "meanError": .figure(metrics.meanError), "largestError": .figure(metrics.maximumError),
      ]) { _, new in new }
    }
    if let metrics = embeddings[stage] {
      members.merge([
        "meanCosine": .figure(metrics.meanCosine),
        "smallestCosine": .figure(metrics.minimumCosine),
        "spearman": .figure(spearman(stage)), "pearson": .figure(pearson(stage)),
        "meanError": .figure(metrics.meanError), "largestError": .figure(metrics.maximumError),
      ]) { _, new in new }
      if let agreement = metrics.topAgreement { members["top1"] = .figure(agreement) }
    }
    return .object(members)
  }
}
