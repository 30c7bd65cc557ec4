// What tells one run of fits from another.

import Bytes
import Models
import Randomness

/// Everything that decides what is fitted: on one machine runs with equal identities fit the same, bit
/// for bit.
struct FitIdentity: Equatable, Sendable {
  /// Counted up by every change of what is fitted, or of how it is kept.
  private static let version = 1

  let json: JSON

  /// Reads all weights once, in parts.
  /// - Throws: `InputError` where one cannot be read.
  init(
    _ subject: KeptFits.Subject, model: Model, weights: some WeightSource, texts: [[Int]],
    heldOut: [[Int]],
    settings: Sparsifier.Settings, memory: MemoryBudget
  ) throws(InputError) {
    json = [
      "version": .integer(FitIdentity.version), "subject": .string(subject.rawValue),
      "model": .string(try FitIdentity.digest(model, weights, memory: memory)),
      "texts": .string(FitIdentity.digest(texts)),
      "heldOut": .string(FitIdentity.digest(heldOut)),
      "mass": .number(settings.mass),
      "blockWidths": .array(settings.blockWidths.map(JSON.integer)),
      "rank": .integer(settings.rank), "seed": .string("\(settings.seed)"),
      "positions": .integer(settings.positionCount), "memory": .integer(memory.byteCount),
    ]
  }

  /// In what a run with the identity `other` is another one; nil where it is not.
  func difference(from other: JSON) -> String? {
    guard json != other else { return nil }
    guard case .object(let own) = json, case .object(let others) = other else { return "setting" }
    let names = [
      ("version", "version of lodge-model"), ("subject", "choice of blocks or --heads"),
      ("model", "model"), ("texts", "text (--tokens)"),
      ("heldOut", "text to judge by (--held-out)"), ("mass", "--mass"),
      ("blockWidths", "--block-width"), ("rank", "--rank"), ("seed", "--seed"),
      ("positions", "number of positions"), ("memory", "--memory"),
    ]
    return names.first { own[$0.0] != others[$0.0] }?.1 ?? "setting"
  }

  private static func digest(_ texts: [[Int]]) -> String {
    SHA256.digest(Array(JSON.array(texts.map { .array($0.map(JSON.integer)) }).text.utf8))
      .hexadecimal
  }

  /// SHA-256 of the graph's canonical text, and of the digest of each weight's elements, F32.
  private static func digest(_ model: Model, _ weights: some WeightSource, memory: MemoryBudget)
    throws(InputError) -> String
  {
    let digests = try ConcurrentTasks.map(model.weights.count) {
      (index) throws(InputError) -> [UInt8] in
      let shape = model.weights[index]
      var hasher = SHA256Hasher()
      for part in memory.parts(elementCount: shape.elementCount) {
        let values = try weights.weight(shape.name, in: part)
        unsafe hasher.update(values.span.bytes)
      }
      return hasher.finalize()
    }
    return SHA256.digest(Array(model.json.text.utf8) + digests.joined()).hexadecimal
  }
}
