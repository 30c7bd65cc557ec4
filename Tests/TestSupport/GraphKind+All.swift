// The kinds of graphs that tests go through.

import Models

extension GraphKind {
  private static let halves = RotaryPositions(base: 100, dimensions: 4, layout: .halves)

  /// Normalisation by heads and without weights, and public factors.
  public static let norms = [
    GraphKind("layerNorm"),
    GraphKind("Qwen3: rmsNorm by heads") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.queryKeyNorm = .heads
      $0.rotary = halves
      $0.hasPositions = false
      $0.isGated = true
      $0.activation = .silu
    },
    GraphKind("OLMo 2: rmsNorm of rows, norms of sublayers") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.queryKeyNorm = .row
      $0.rotary = halves
      $0.preNorm = false
      $0.sublayerNorm = true
      $0.hasPositions = false
      $0.isGated = true
      $0.hasBiases = false
    },
    GraphKind("StableLM: layerNorm by heads") {
      $0.queryKeyNorm = .rowGamma
      $0.rotary = RotaryPositions(base: 100, dimensions: 2, layout: .pairs)
      $0.hasPositions = false
    },
    GraphKind("OLMo: layerNorm without weights") {
      $0.hasGamma = false
      $0.hasBeta = false
      $0.queryKeyNorm = .heads
    },
    GraphKind("beta without gamma") {
      $0.hasGamma = false
      $0.queryKeyNorm = .heads
      $0.sublayerNorm = true
      $0.rotary = halves
    },
    GraphKind("Gemma 2: norms before and after") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.sublayerNorm = true
      $0.rotary = halves
      $0.embedScale = 4
      $0.activation = .geluTanh
      $0.isGated = true
      $0.hasBiases = false
      $0.queryScale = 0.3
    },
    GraphKind("yarn, Granite: magnitude and residual factor") {
      $0.rotary = RotaryPositions(
        frequencies: halves.frequencies, magnitude: 1.3, layout: .halves)
      $0.residualScale = 0.22
      $0.embedScale = 12.7
    },
  ]

  /// Windows, biases by position, and soft caps.
  public static let positions = [
    GraphKind("Mistral: window") {
      $0.rotary = halves
      $0.hasPositions = false
      $0.windows = [3, 3]
    },
    GraphKind("Gemma 3: windows in turn") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.queryKeyNorm = .heads
      $0.rotary = halves
      $0.windows = [4, nil]
    },
    GraphKind("BLOOM: slopes by distance") {
      $0.hasPositions = false
      $0.keyHeads = 4
      $0.embedNorm = true
      $0.bias = .linear(slopes: [0.5, 0.25, 0.125, 0.0625])
    },
    GraphKind("slopes in a window") {
      $0.bias = .linear(slopes: [0.5, -0.25, 1.5, 0])
      $0.windows = [5, 1]
    },
    GraphKind("Gemma 2: soft caps") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.rotary = halves
      $0.softCap = 3
      $0.queryScale = 2
      $0.windows = [3, nil]
    },
  ]

  /// Prefix decoders, whose texts hold the tokens 9 and 10.
  public static let prefixes = [
    GraphKind("ChatGLM: two positions, residuals of normalised values") {
      $0.kind = .prefixDecoder
      $0.contextMarkers = markers
      $0.hasPositions = false
      $0.rotary = RotaryPositions(base: 100, dimensions: 4, layout: .twoPositions)
      $0.keyHeads = 4
      $0.residualScale = 0.5
      $0.residualIsNormalised = true
      $0.activation = .geluTanh
    },
    GraphKind("a prefix in a window, few key heads") {
      $0.kind = .prefixDecoder
      $0.contextMarkers = markers
      $0.windows = [3, nil]
      $0.bias = .linear(slopes: [0.5, -0.25, 1.5, 0])
    },
    GraphKind("a prefix with soft caps") {
      $0.kind = .prefixDecoder
      $0.contextMarkers = markers
      $0.usesRMS = true
      $0.hasBeta = false
      $0.rotary = halves
      $0.softCap = 3
      $0.queryScale = 2
    },
  ]
  private static let markers = ContextMarkers(startToken: 10, maskTokens: [9])

  /// Encoders with windows and biases by position.
  public static let encoderPositions = [
    GraphKind("BERT") {
      $0.kind = .encoder
      $0.preNorm = false
      $0.sumNorm = true
      $0.finalNorm = false
      $0.embedNorm = true
      $0.hasSegments = true
    },
    GraphKind("ModernBERT: bands in turn, gated GeLU") {
      $0.kind = .encoder
      $0.hasBeta = false
      $0.hasBiases = false
      $0.rotary = halves
      $0.hasPositions = false
      $0.embedNorm = true
      $0.isGated = true
      $0.windows = [3, nil]
    },
    GraphKind("bands by bits of every size") {
      $0.kind = .encoder
      $0.windows = [1, 2]
      $0.hasPositions = false
      $0.hasSegments = true
    },
    GraphKind("T5: buckets of distances") {
      $0.kind = .encoder
      $0.usesRMS = true
      $0.hasBeta = false
      $0.hasBiases = false
      $0.hasPositions = false
      $0.activation = .relu
      $0.queryScale = 1
      $0.keyHeads = 4
      $0.bias = .relative(
        table: "buckets", RelativeBuckets(count: 8, maximumDistance: 6))
    },
    GraphKind("MPNet: buckets in a band, slopes") {
      $0.kind = .encoder
      $0.windows = [4, 12]
      $0.bias = .relative(
        table: "buckets", RelativeBuckets(count: 8, maximumDistance: 6))
      $0.softCap = 2
    },
    GraphKind("slopes on both sides") {
      $0.kind = .encoder
      $0.bias = .linear(slopes: [0.5, -0.25, 1.5, 0])
    },
  ]

  /// Feed-forward layers of which some blocks run.
  public static let gates = [
    GraphKind("OPT in blocks of three") {
      $0.activation = .relu
      $0.blockCount = 4
    },
    GraphKind("gated ReLU in blocks of two") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.rotary = halves
      $0.hasPositions = false
      $0.isGated = true
      $0.activation = .relu
      $0.hasBiases = false
      $0.blockCount = 6
    },
    GraphKind("one block, GeLU") {
      $0.blockCount = 1
    },
    GraphKind("neurons one by one, parallel") {
      $0.isParallel = true
      $0.activation = .relu
      $0.blockCount = 12
    },
    GraphKind("post-norm in blocks of six") {
      $0.preNorm = false
      $0.sumNorm = true
      $0.finalNorm = false
      $0.activation = .relu
      $0.blockCount = 2
    },
  ]

  /// Decoders of which some heads run, in the middle of three layers and in the last.
  public static let headGates = [
    GraphKind("OPT with heads that are skipped") {
      $0.activation = .relu
      $0.skipsHeads = true
      $0.windows = [nil, nil, nil]
      $0.keyHeads = 4
    },
    GraphKind("LLaMA, groups of heads, and blocks of neurons") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.rotary = halves
      $0.hasPositions = false
      $0.isGated = true
      $0.activation = .relu
      $0.hasBiases = false
      $0.blockCount = 6
      $0.skipsHeads = true
      $0.windows = [nil, nil, nil]
    },
    GraphKind("post-norm, heads that are skipped") {
      $0.preNorm = false
      $0.sumNorm = true
      $0.finalNorm = false
      $0.skipsHeads = true
      $0.windows = [nil, nil, nil]
      $0.keyHeads = 1
    },
  ]

  /// The same of encoders.
  public static let encoderGates = [
    GraphKind("BERT in blocks of four") {
      $0.kind = .encoder
      $0.preNorm = false
      $0.sumNorm = true
      $0.finalNorm = false
      $0.embedNorm = true
      $0.activation = .relu
      $0.blockCount = 3
    },
    GraphKind("pooled, gated GeLU in blocks of two") {
      $0.kind = .encoder
      $0.isGated = true
      $0.blockCount = 6
      $0.pooling = .mean
    },
  ]

  /// Skeletons that differ in where things stand.
  public static let skeletons = [
    GraphKind("GPT-NeoX: parallel, partial rotation") {
      $0.isParallel = true
      $0.keyHeads = 4
      $0.hasPositions = false
      $0.rotary = RotaryPositions(base: 100, dimensions: 2, layout: .halves)
    },
    GraphKind("GPT-J: parallel, pairs, one norm, no attention biases") {
      $0.isParallel = true
      $0.hasPositions = false
      $0.rotary = RotaryPositions(base: 100, dimensions: 4, layout: .pairs)
      $0.hasBiases = false
      $0.activation = .geluTanh
    },
    GraphKind("OPT-350m: post-norm, projected") {
      $0.preNorm = false
      $0.sumNorm = true
      $0.finalNorm = false
      $0.embedWidth = 8
      $0.activation = .relu
    },
    GraphKind("Falcon: one key head") {
      $0.isParallel = true
      $0.keyHeads = 1
      $0.hasPositions = false
      $0.rotary = halves
    },
    GraphKind("Gemma 2: soft cap of the output") {
      $0.usesRMS = true
      $0.hasBeta = false
      $0.rotary = halves
      $0.outputCap = 2
      $0.embedScale = 4
      $0.isGated = true
      $0.activation = .geluTanh
    },
    GraphKind("GPT-2 with RMSNorm and beta") {
      $0.usesRMS = true
      $0.activation = .silu
      $0.isGated = true
    },
  ]

  /// Encoders that give one row, or rows of a head.
  public static let heads = [
    GraphKind("mean, normalised") {
      $0.kind = .encoder
      $0.pooling = .mean
      $0.head = ["normalise"]
    },
    GraphKind("BERT: first, tanh, classes") {
      $0.kind = .encoder
      $0.preNorm = false
      $0.sumNorm = true
      $0.finalNorm = false
      $0.embedNorm = true
      $0.hasSegments = true
      $0.pooling = .first
      $0.head = ["tanh", "classes"]
    },
    GraphKind("classes of tokens") {
      $0.kind = .encoder
      $0.head = ["classes"]
    },
    GraphKind("ELECTRA: projected, mean") {
      $0.kind = .encoder
      $0.embedWidth = 8
      $0.embedNorm = true
      $0.pooling = .mean
    },
    GraphKind("ModernBERT: mean of a norm") {
      $0.kind = .encoder
      $0.hasBeta = false
      $0.rotary = halves
      $0.hasPositions = false
      $0.windows = [3, nil]
      $0.pooling = .mean
      $0.head = ["classes"]
    },
  ]
}
