// Observes a model in float on real text.

public import Bytes
public import Models

extension Calibration {
  /// Runs `interpreter` on every text and records each observed quantity, and then on every row of
  /// the vocabulary up to the first normalisation, and on some through the first layers.
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
        guard let quantity = ObservedQuantity(rawValue: kind.rawValue) else { return }
        calibration.include(values, node: nodes[node].name, quantity: quantity)
      }, progress: progress)
    if let failure { throw failure }
    calibration.textCount = texts.count
    calibration.tokenCount = texts.reduce(0) { $0 + $1.count }
    calibration.longestText = texts.reduce(0) { max($0, $1.count) }
    calibration.seenTokens = Set(texts.joined())
    try calibration.includeVocabulary(interpreter, source: source)
    try calibration.includeEarlyLayers(interpreter, source: source)
    return calibration
  }

  /// Smallest and largest of each of `parts` equal parts of `values`, which are not empty.
  private static func ranges(_ values: [Float], parts: Int) -> [ClosedRange<Double>] {
    let count = values.count / parts
    return (0..<parts).map { part in
      let values = values[part * count..<(part + 1) * count]
      return Double(values.min() ?? 0)...Double(values.max() ?? 0)
    }
  }
}
