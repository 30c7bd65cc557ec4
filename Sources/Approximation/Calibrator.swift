// Observes a model in float on real text.

public import Bytes
public import Models

extension Calibration {
  /// Runs `interpreter` on every text and records each observed quantity, and then on every row of
  /// the vocabulary as `includeVocabulary` does, and on some through the first layers.
  ///
  /// `progress` is told how many evaluations of nodes are done, and of how many.
  /// - Throws: `InputError` for a text that the model does not take, and for values that are not
  ///   finite.
  public static func observe(
    _ interpreter: FloatInterpreter, texts: [[Int]], source: String,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(InputError) -> Calibration {
    guard !texts.isEmpty else { throw InputError(source, "there is no text to calibrate on") }
    var calibration = Calibration()
    var failure: InputError?
    let nodes = interpreter.model.nodes
    try interpreter.run(
      texts: texts, source: source,
      observe: { node, kind, values in
        guard FloatMatrix.areFinite(values) else {
          failure = failure ?? InputError(source, place: nodes[node].name, "is not finite")
          return
        }
        if kind == .rowMaxima, case .attention(_, _, _, let settings) = nodes[node].operation {
          calibration.include(
            rowMaxima: Calibration.ranges(values, parts: settings.headCount),
            node: nodes[node].name)
        }
        if kind == .output, case .gates = nodes[node].operation {
          calibration.include(
            bits: values, blockCount: nodes[node].width, node: nodes[node].name)
        }
        guard let quantity = ObservedQuantity(rawValue: kind.rawValue) else { return }
        calibration.include(values, node: nodes[node].name, quantity: quantity)
      }, progress: progress)
    if let failure { throw failure }
    try calibration.includeShortTexts(interpreter, texts: texts, source: source)
    calibration.textCount = texts.count
    calibration.tokenCount = texts.reduce(0) { $0 + $1.count }
    calibration.longestText = texts.reduce(0) { max($0, $1.count) }
    calibration.seenTokens = Set(texts.joined())
    try calibration.includeVocabulary(interpreter, source: source)
    try calibration.includeEarlyLayers(interpreter, source: source)
    return calibration
  }

  /// Widens what the length of a text decides about to the beginnings of some texts: row maxima, since in
  /// an encoder, and in the context of a prefix decoder, every row sees all keys, and the largest score of
  /// a few keys is less than that of many; and all behind pooling, since the mean of few rows is longer
  /// than that of many, up to that of one row by itself.
  private mutating func includeShortTexts(
    _ interpreter: FloatInterpreter, texts: [[Int]], source: String
  ) throws(InputError) {
    let model = interpreter.model
    guard model.kind != .decoder else { return }
    let short = Set(
      texts.prefix(Calibration.shortTextCount).flatMap { text in
        [1, 2, 4, 8].filter { $0 < text.count }.map { count in
          let beginning = Array(text.prefix(count))
          return model.contextMarkers?.text(context: beginning) ?? beginning
        }
      })
    guard !short.isEmpty else { return }
    var found: [(node: String, maxima: [ClosedRange<Double>])] = []
    let isPooled = model.isPooled
    var pooled: [(node: String, quantity: ObservedQuantity, values: [Float])] = []
    try interpreter.run(
      texts: short.sorted { $0.lexicographicallyPrecedes($1) }, source: source,
      observe: { node, kind, values in
        guard FloatMatrix.areFinite(values) else { return }
        if isPooled[node], let quantity = ObservedQuantity(rawValue: kind.rawValue) {
          pooled.append((model.nodes[node].name, quantity, values))
        }
        guard kind == .rowMaxima,
          case .attention(_, _, _, let settings) = model.nodes[node].operation
        else { return }
        found.append(
          (model.nodes[node].name, Calibration.ranges(values, parts: settings.headCount)))
      })
    for (node, maxima) in found { include(rowMaxima: maxima, node: node) }
    for (node, quantity, values) in pooled { include(values, node: node, quantity: quantity) }
  }

  /// Texts whose beginnings are run.
  private static let shortTextCount = 16

  /// Smallest and largest of each of `parts` equal parts of `values`, which are not empty.
  static func ranges(_ values: [Float], parts: Int) -> [ClosedRange<Double>] {
    let count = values.count / parts
    return (0..<parts).map { part in
      let values = values[part * count..<(part + 1) * count]
      return Double(values.min() ?? 0)...Double(values.max() ?? 0)
    }
  }
}
