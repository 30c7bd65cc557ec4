// What a client needs to know of output and input beyond their words: it stands in the program.

public import Bytes
import Foundation
public import Models

/// What the rows of the output are, and what is still to be done to their real values.
public struct OutputDescription: Equatable, Sendable {
  public var meaning: ModelOutput
  /// Values become cap * tanh(value / cap): increasing and public, so that whoever receives them
  /// does it.
  public var softCap: Double?
  /// The token that fills texts up to one length: a client must leave it out at the end of a text,
  /// where it would be attended to.
  public var padToken: Int?
  /// Tokens that a prompt for a prefix decoder must end in; nil for all other kinds.
  public var contextMarkers: ContextMarkers?
  /// Twice the largest magnitude that calibration saw: an answer beyond it is not to be trusted.
  public var bound: Double?

  public init(
    meaning: ModelOutput, softCap: Double? = nil, padToken: Int? = nil,
    contextMarkers: ContextMarkers? = nil, bound: Double? = nil
  ) {
    self.meaning = meaning
    self.softCap = softCap
    self.padToken = padToken
    self.contextMarkers = contextMarkers
    self.bound = bound
  }

  /// What to say of `rows` that hold values beyond the bound; nil of all others.
  public func warning(about rows: [[Float]]) -> String? {
    guard let bound else { return nil }
    let count = rows.count { $0.contains { !(abs(Double($0)) <= bound) } }
    guard count > 0 else { return nil }
    return "\(count) of \(rows.count) rows of the answer hold values beyond \(Float(bound)), twice "
      + "what the owner's calibration saw: the text may be unlike that of the calibration, and the "
      + "answer wrong"
  }

  /// The real values of output words with `fractionalBits`.
  public func values(_ words: [UInt64], fractionalBits: Int) -> [Float] {
    let scale = pow(0.5, Double(fractionalBits))
    let values = words.map { Double(Int64(bitPattern: $0)) * scale }
    guard let softCap else { return values.map { Float($0) } }
    return values.map { Float(softCap * tanh($0 / softCap)) }
  }

  /// Members of an object: none for the plain output of `kind`.
  public func members(of kind: ModelKind) -> [String: JSON] {
    var members: [String: JSON] = [:]
    if meaning != kind.plainOutput { members["output"] = .string(meaning.rawValue) }
    if let softCap { members["outputCap"] = .number(softCap) }
    if let padToken { members["padToken"] = .integer(padToken) }
    if let contextMarkers { members[ContextMarkers.key] = contextMarkers.json }
    if let bound { members["outputBound"] = .number(bound) }
    return members
  }

  /// Reads what `members` gives.
  public init(_ reader: inout JSONReader, of kind: ModelKind) throws(InputError) {
    meaning = kind.plainOutput
    if reader.contains("output") {
      let text = try reader.string("output")
      guard let value = ModelOutput(rawValue: text), value != kind.plainOutput else {
        throw reader.failure("output", "unknown value \"\(text)\"")
      }
      meaning = value
    }
    if reader.contains("outputCap") {
      let cap = try reader.number("outputCap")
      guard cap > 0, cap.isFinite else { throw reader.failure("outputCap", "must be positive") }
      softCap = cap
    }
    if reader.contains("outputBound") {
      let bound = try reader.number("outputBound")
      guard bound > 0, bound.isFinite else {
        throw reader.failure("outputBound", "must be positive")
      }
      self.bound = bound
    }
    if reader.contains("padToken") {
      padToken = try reader.integer("padToken", in: 0...(1 << 24) - 1)
    }
    contextMarkers = try ContextMarkers(&reader, of: kind)
  }
}

extension SecureProgram {
  /// The real values of output words.
  public func outputValues(_ words: [UInt64]) -> [Float] {
    output.values(words, fractionalBits: outputValue?.fractionalBits ?? 0)
  }
}
