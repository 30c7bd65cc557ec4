// What `lodge-model inspect` reports; made from headers alone.

public import Bytes
public import Checkpoints

/// Architecture, sizes, non-linear operations and tensors of a checkpoint.
public struct ModelInspection: Report, Sendable {
  /// One tensor of the checkpoint and what the graph calls it or its parts; no names where
  /// inference does not use it.
  public struct Tensor: Equatable, Sendable {
    public var description: TensorDescription
    /// Sorted.
    public var weightNames: [String]
  }

  /// Path of the tensor file.
  public let path: String
  public let formatName: String
  /// What was taken for the model and what was not, where there was a choice.
  public let notices: [String]
  public let family: String
  public let kind: ModelKind
  public let output: ModelOutput
  public let vocabularySize: Int
  public let maximumPositions: Int
  /// Width of the output of the last node.
  public let outputWidth: Int
  public let nodeCount: Int
  /// Elements of all floating-point tensors of the file.
  public let parameterCount: Int
  /// Elements of those that the graph uses; tied ones count once.
  public let usedParameterCount: Int
  public let nonLinearOperations: [NonLinearOperations]
  /// Sorted by the checkpoint's key.
  public let tensors: [Tensor]
  /// Whether people are shown every tensor, and not those of all layers together.
  public var isComplete = false

  /// Inspects the checkpoint at `path`.
  /// - Throws: one `InputError` with all that is not supported, as `ModelLoader.load` does.
  public init(path: String) throws(InputError) {
    self.init(try ModelLoader.load(path: path))
  }

  public init(_ loaded: LoadedModel) {
    let model = loaded.model
    path = loaded.path
    formatName = loaded.checkpoint.source.formatName
    notices = loaded.notices
    family = model.family
    kind = model.kind
    output = model.output
    vocabularySize = model.vocabularySize
    maximumPositions = model.maximumPositions
    outputWidth = model.nodes.last?.width ?? 0
    nodeCount = model.nodes.count
    usedParameterCount = model.weights.reduce(0) { $0 + $1.elementCount }
    nonLinearOperations = model.nonLinearOperations
    var weightNames: [String: [String]] = [:]
    for weight in model.weights {
      for key in loaded.checkpointKeys(of: weight.name) {
        weightNames[key, default: []].append(weight.name)
      }
    }
    tensors = loaded.checkpoint.tensors.map {
      Tensor(description: $0, weightNames: weightNames[$0.name] ?? [])
    }
    parameterCount = tensors.map(\.description).filter(\.type.isReadableAsFloat)
      .reduce(0) { $0 + $1.elementCount }
  }
}

extension ModelInspection {
  /// The same for machines.
  public var json: JSON {
    [
      "file": .string(path), "format": .string(formatName),
      "notices": .array(notices.map(JSON.string)), "family": .string(family),
      "kind": .string(kind.rawValue), "output": .string(output.rawValue),
      "vocabularySize": .integer(vocabularySize),
      "maximumPositions": .integer(maximumPositions), "outputWidth": .integer(outputWidth),
      "nodeCount": .integer(nodeCount), "parameterCount": .integer(parameterCount),
      "usedParameterCount": .integer(usedParameterCount),
      "nonLinearOperations": .array(
        nonLinearOperations.map { operations in
          [
            "kind": .string(operations.kind), "nodeCount": .integer(operations.nodeCount),
            "rowsPerPosition": .integer(operations.rowsPerPosition),
            "rowWidth": .integer(operations.rowWidth),
          ]
        }),
      "tensors": .array(
        tensors.map { tensor in
          [
            "name": .string(tensor.description.name),
            "shape": .array(tensor.description.shape.map { .integer($0) }),
            "dtype": .string(tensor.description.type.rawValue),
            "byteCount": .integer(tensor.description.byteRange.count),
            "weights": .array(tensor.weightNames.map(JSON.string)),
          ]
        }),
    ]
  }

  /// The same for people: sizes, then non-linear operations, then tensors, in aligned columns.
  public var document: TextDocument {
    var sizes = TextTable([.left, .prose])
    sizes.addRow(["file", path])
    sizes.addRow(["format", formatName])
    for notice in notices { sizes.addRow(["note", notice]) }
    sizes.addRow(["model", "\(family), \(kind.rawValue)"])
    sizes.addRow([
      "parameters",
      Quantity.grouped(parameterCount)
        + (parameterCount == usedParameterCount
          ? "" : ", of which \(Quantity.grouped(usedParameterCount)) are used"),
    ])
    sizes.addRow(["vocabulary", Quantity.grouped(vocabularySize)])
    sizes.addRow(["positions", Quantity.grouped(maximumPositions)])
    sizes.addRow(["output", output.title])
    sizes.addRow(["output width", Quantity.grouped(outputWidth)])

    var operations = TextTable([
      ("non-linear", .left), ("nodes", .right), ("rows per position", .right),
      ("row width", .right),
    ])
    for entry in nonLinearOperations {
      operations.addRow([
        entry.kind, String(entry.nodeCount), String(entry.rowsPerPosition),
        (entry.kind == "softmax" ? "up to " : "") + String(entry.rowWidth),
      ])
    }

    return """
      \(sizes)

      \(operations)

      \(isComplete ? tensorTable : "\(layersTogether)\n\n--all lists every tensor.")
      """
  }

  private var tensorTable: TextDocument {
    var table = TextTable([
      ("tensor", .name), ("shape", .left), ("dtype", .left), ("weight", .name),
    ])
    for tensor in tensors {
      table.addRow(
        [tensor.description.name] + cells(tensor).dropLast() + [tensor.weightText { $0 }])
    }
    return TextDocument(table)
  }

  /// Tensors that differ in their layer alone, with how many they are.
  private var layersTogether: TextTable {
    var table = TextTable([
      ("tensor", .name), ("number", .right), ("shape", .left), ("dtype", .left), ("weight", .name),
    ])
    let groups = tensors.grouped { [namePattern($0.description.name)] + cells($0) }
    for (key, tensors) in groups {
      table.addRow([key[0], "\(tensors.count)"] + key.dropFirst())
    }
    return table
  }

  /// Shape, type and the names of the weights without those of layers.
  private func cells(_ tensor: Tensor) -> [String] {
    [
      tensor.description.shape.map(String.init).joined(separator: " x "),
      tensor.description.type.rawValue, tensor.weightText(namePattern),
    ]
  }
}

extension ModelInspection.Tensor {
  /// What the graph calls it, each name by `shown`.
  fileprivate func weightText(_ shown: (String) -> String) -> String {
    let names = weightNames.map(shown).grouped { $0 }.map(\.key)
    return names.isEmpty ? "(not used)" : names.joined(separator: ", ")
  }
}
