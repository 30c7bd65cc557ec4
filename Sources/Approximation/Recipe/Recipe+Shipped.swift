// Recipes that ship with Lodge.

public import Bytes

extension Recipe {
  /// No fine-tuning needed: errors of every replacement are below what 16 fractional bits leave.
  public static let accurate = Recipe(name: "accurate")

  /// All of them; each says in notes where its publication has nothing for an operation.
  public static let shipped: [Recipe] = [
    .accurate, .puma, .bolt, .bumblebee, .mpcformer, .pcft, .power, .fitted, .permllm, .elements,
  ]

  public static func shipped(_ name: String) -> Recipe? { shipped.first { $0.name == name } }

  /// A shipped recipe by name, or the recipe in a JSON file.
  public static func named(_ text: String) throws(InputError) -> Recipe {
    if let recipe = shipped(text) { return recipe }
    guard text.hasSuffix(".json") else { throw unknown(text, InputError("--recipe", "")) }
    return try Recipe(json: JSON.read(text), source: text)
  }

  /// PUMA: its polynomials, and the limit exponential with 5 squarings.
  static let puma = Recipe(
    name: "puma",
    [
      .gelu: ReplacementChoice(PUMAActivation()), .geluTanh: ReplacementChoice(PUMAActivation()),
      .silu: ReplacementChoice(PUMAActivation()), .softmax: ReplacementChoice(LimitSoftmax()),
    ])

  static let bumblebee = Recipe(
    name: "bumblebee",
    [
      .gelu: ReplacementChoice(BumbleBeeActivation()),
      .geluTanh: ReplacementChoice(BumbleBeeActivation()),
      .silu: ReplacementChoice(BumbleBeeActivation()),
      .softmax: ReplacementChoice(
        LimitSoftmax(), note: "the limit with 5 squarings, as PUMA's and as BumbleBee configures it"
      ),
    ])

  static let bolt = Recipe(
    name: "bolt",
    [
      .gelu: ReplacementChoice(BOLTActivation()),
      .geluTanh: ReplacementChoice(BOLTActivation(), note: "BOLT's polynomial for GeLU with erf"),
      .silu: ReplacementChoice(
        CheapestActivation.accurate, note: "BOLT has no SiLU: that of accurate"),
      .softmax: ReplacementChoice(BOLTSoftmax()),
    ])

  static let mpcformer = {
    var recipe = Recipe(
      name: "mpcformer",
      [
        .gelu: ReplacementChoice(QuadActivation()), .geluTanh: ReplacementChoice(QuadActivation()),
        .silu: ReplacementChoice(
          CheapestActivation.accurate, note: "MPCFormer has no SiLU: that of accurate"),
        .softmax: ReplacementChoice(TwoQuadSoftmax()),
      ])
    // A model trained with Quad and 2Quad needs them as they are, everywhere.
    recipe.outsideRange = .extend
    return recipe
  }()

  static let pcft = Recipe(
    name: "pcft",
    [
      .gelu: ReplacementChoice(ReLUActivation()), .geluTanh: ReplacementChoice(ReLUActivation()),
      .silu: ReplacementChoice(
        ReLUActivation(), note: "PCFT replaces GeLU; ReLU for SiLU is ReLUfication"),
      .softmax: ReplacementChoice(ReLUSoftmax()),
      .layerNorm: ReplacementChoice(AffineNormalisation()),
      .rmsNorm: ReplacementChoice(
        AffineNormalisation(), note: "PCFT replaces LayerNorm; without a mean this is RMSNorm's"),
    ])

  static let power = {
    var recipe = Recipe(
      name: "power",
      [
        .softmax: ReplacementChoice(
          PowerSoftmax(), note: "replaces softmax only; the rest is that of accurate")
      ])
    recipe.outsideRange = .extend
    return recipe
  }()

  static let fitted = Recipe(
    name: "fitted",
    [
      .gelu: ReplacementChoice(FittedActivation()),
      .geluTanh: ReplacementChoice(FittedActivation()),
      .silu: ReplacementChoice(FittedActivation()), .softmax: ReplacementChoice(FittedSoftmax()),
    ])

  /// PermLLM: party 1 computes everything that is not linear.
  static let permllm = Recipe(
    name: "permllm",
    Dictionary(
      uniqueKeysWithValues: OperationClass.allCases.map {
        ($0, ReplacementChoice(PermutedOperation()))
      }))

  /// Activations only: of rows of hidden states and of scores party 1 learns nothing.
  static let elements = Recipe(
    name: "elements",
    Dictionary(
      uniqueKeysWithValues: OperationClass.allCases.filter { $0.activation != nil }.map {
        (
          $0,
          ReplacementChoice(
            PermutedOperation(),
            note: "a row's numbers are permuted together; softmax and norms are those of accurate")
        )
      }))

  private init(name: String, _ changes: [OperationClass: ReplacementChoice]) {
    self.init(name: name)
    for (operationClass, choice) in changes { choose(choice, for: operationClass) }
  }
}
