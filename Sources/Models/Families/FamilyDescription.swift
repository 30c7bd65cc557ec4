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

  /// The families for people: one table after another.
  public static var table: String {
    all.map { family in
      var fields = TextTable([("config.json", .left), ("read as", .left)])
      for field in family.fields { fields.addRow([field.key, field.meaning]) }
      return """
        \(family.name): \(family.summary)
        ends in: \(family.outputs.map(\.rawValue).joined(separator: ", "))
        not read: \(family.notRead)

        \(fields.text)
        """
    }.joined(separator: "\n\n")
  }

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

  /// The same for machines.
  public static var json: JSON {
    .array(
      all.map { family in
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
