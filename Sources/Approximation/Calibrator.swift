// Observes a model in float on real text.

public import Bytes
public import Models

extension Calibration {
  /// Runs `interpreter` on every text and records the range of each observed quantity.
  ///
  /// `progress` is told how many texts are done.
  /// - Throws: `InputError` for a text that the model does not take, and for values that are not
  ///   finite.
  public static func observe(
    _ interpreter: FloatInterpreter, texts: [[Int]], source: String,
    progress: (Int) -> Void = { _ in }
  ) throws(InputError) -> Calibration {
    var calibration = Calibration()
    guard !texts.isEmpty else { throw InputError(source, "there is no text to calibrate on") }
    for (index, tokens) in texts.enumerated() {
      var failure: InputError?
      let nodes = interpreter.model.nodes
      do throws(InputError) {
        _ = try interpreter.run(tokens: tokens) { node, kind, values in
          guard let quantity = ObservedQuantity(rawValue: kind.rawValue), let first = values.first
          else { return }
          var (low, high) = (first, first)
          for value in values {
            low = min(low, value)
            high = max(high, value)
          }
          guard low.isFinite, high.isFinite else {
            failure = failure ?? InputError(source, place: nodes[node].name, "is not finite")
            return
          }
          calibration.include(
            Double(low)...Double(high), node: nodes[node].name, quantity: quantity)
        }
      } catch {
        throw InputError(source, place: "text \(index)", error.cause, hint: error.hint)
      }
      if let failure { throw failure }
      calibration.textCount += 1
      calibration.tokenCount += tokens.count
      progress(index + 1)
    }
    return calibration
  }
}
