// What `lodge-model inspect --families` lists: the families and the settings each of them reads.

public import Bytes
import Checkpoints

/// A family of models, as config.json's `model_type` names it.
public struct FamilyDescription: Equatable, Sendable {
  /// A key of config.json; "a.b" is member "b" of the object "a".
  public struct Field: Equatable, Sendable {
    public var key: String
    /// What the key may hold, such as "integer" or "only \"relu\"".
    public var meaning: String
  }

  /// The `model_type`.
  public var name: String
  /// Architecture in a few words.
  public var summary: String
  /// What the library has of the family and this one has not.
  public var notRead: String
  /// What a model may end in.
  public var outputs: [ModelOutput]
  /// `general.architecture` of its GGUF files, where these are read.
  public var architectures: [String]
  /// Every key that decides about the graph; all others are known to change nothing or unknown.
  public var fields: [Field]

  /// The supported families, in the order in which they are documented.
  public static var all: [FamilyDescription] { Family.allCases.map(\.description) }

  /// The families as the table of formats/checkpoints.md.
  public static var markdown: String {
    let rows = all.map { family in
      "| `\(family.name)` | \(family.summary) | "
        + family.outputs.map(\.rawValue).joined(separator: ", ")
        + " | \(family.architectures.joined(separator: ", ")) | \(family.notRead) |"
    }
    return
      ([
        "| `model_type` | What it is | Ends in | GGUF | Not read |",
        "| --- | --- | --- | --- | --- |",
      ]
      + rows).joined(separator: "\n")
  }

}

/// The families, for `lodge-model inspect --families`.
public struct FamilyList: Report {
  private let isComplete: Bool

  /// - Parameter isComplete: Whether people are shown every setting as well.
  public init(isComplete: Bool) { self.isComplete = isComplete }

  public var document: TextDocument {
    guard isComplete else {
      var table = TextTable([("model_type", .left), ("what it is", .prose), ("ends in", .prose)])
      for family in FamilyDescription.all {
        table.addRow([family.name, family.summary, family.outputTexts])
      }
      return "\(table)\n\n--all lists the settings of each, and what is not read."
    }
    return TextDocument(
      FamilyDescription.all.map { family in
        var fields = TextTable([("config.json", .left), ("read as", .prose)])
        for field in family.fields { fields.addRow([field.key, field.meaning]) }
        return """
          \(family.name): \(family.summary)
          ends in: \(family.outputTexts)
          not read: \(family.notRead)

          \(fields)
          """
      })
  }

  public var json: JSON {
    .array(
      FamilyDescription.all.map { family in
        [
          "modelType": .string(family.name), "summary": .string(family.summary),
          "notRead": .string(family.notRead),
          "outputs": .array(family.outputs.map { .string($0.rawValue) }),
          "ggufArchitectures": .array(family.architectures.map(JSON.string)),
          "fields": .array(
            family.fields.map { ["key": .string($0.key), "meaning": .string($0.meaning)] }),
        ]
      })
  }
}

extension FamilyDescription {
  fileprivate var outputTexts: String { outputs.map(\.rawValue).joined(separator: ", ") }
}

extension Family {
  /// The keys are those that the builder asks an empty configuration for: it reads all before it
  /// gives up.
  var description: FamilyDescription {
    var fields: [FamilyDescription.Field] = []
    if var configuration = try? Configuration(.object([:]), source: "") {
      _ = build(&configuration, tensorNames: [])
      fields = configuration.fields
    }
    return FamilyDescription(
      name: rawValue, summary: summary, notRead: notRead, outputs: outputs,
      architectures: GGUFArchitectureNames.of(modelType: familyOfGGUF.rawValue), fields: fields)
  }
}
