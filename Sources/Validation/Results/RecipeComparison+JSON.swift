// A comparison of recipes as JSON; `formats/validation.md` specifies it.

import Approximation
public import Bytes
import Models
import Program
import Sharing

extension RecipeComparison {
  /// Version of the layout.
  public static let version = 1

  public var json: JSON {
    [
      "format": "lodge-comparison", "version": .integer(RecipeComparison.version),
      "kind": .string(session.kind.rawValue),
      "deployment": .string(deployment.rawValue),
      "promptCapacity": .integer(session.promptCapacity),
      "newCapacity": .integer(session.newCapacity),
      "evaluation": entries.first?.result.json ?? .null,
      "networks": .array(networks.map(\.json)),
      "differingMembers": .array(differingMembers.map(JSON.string)),
      "models": .array(entries.map(json)),
    ]
  }

  private func json(_ entry: Entry) -> JSON {
    let result = entry.result
    return [
      "title": .string(title(entry)),
      "file": .string(FilePaths.lastComponent(of: entry.path)),
      "checkpoint": .string(entry.file.checkpoint), "recipe": entry.file.recipe.json,
      "stages": .array(result.stages.map(result.json)),
      "headroomBits": .integer(result.headroom), "outsideShare": .figure(result.outsideShare),
      "prompt": json(entry.prompt), "token": json(entry.token),
      "correlationBytesPerToken": .integer(correlationByteCountPerToken(entry)),
      "leakage": .array(leakage(entry).map(\.json)),
    ]
  }

  /// The network times are in the order of `networks`.
  private func json(_ cost: StepCost) -> JSON {
    [
      "rounds": .integer(cost.roundCount), "bytesPerParty": .integer(byteCount(cost)),
      "comparisons": .integer(cost.comparisonCount),
      "networkSeconds": .array(networks.map { .number(seconds(cost, $0)) }),
    ]
  }
}
