// Whether a layer's gates pay: what a session takes with them and without.

import Bytes

/// A session of the model with the gates of all layers that may have some, beside the same where
/// one layer stays dense.
public struct GateSaving: Equatable, Sendable {
  /// What a session takes.
  public struct Costs: Equatable, Sendable {
    /// Of flights, bytes, comparisons and reading what was dealt.
    public var seconds: Double
    /// Sent by a party, and dealt, both files together.
    public var byteCount: Int

    public init(seconds: Double, byteCount: Int) {
      self.seconds = seconds
      self.byteCount = byteCount
    }

    var json: JSON { ["seconds": .number(seconds), "bytes": .integer(byteCount)] }
  }

  /// With the layer dense and gated.
  public var dense: Costs
  public var gated: Costs
  /// Of `gated` what decides about the layer takes; its flights run beside others.
  public var gate: Costs
  /// The session and the network: "a session of 64 + 32 tokens at 10.0 ms, 1.00 Gbps".
  public var circumstances: String

  public init(
    dense: Costs, gated: Costs, gate: Costs, circumstances: String
  ) {
    self.dense = dense
    self.gated = gated
    self.gate = gate
    self.circumstances = circumstances
  }

  public var savedSeconds: Double { dense.seconds - gated.seconds }
  var savedByteCount: Int { dense.byteCount - gated.byteCount }

  /// What the gate costs over what it saves, of seconds and of bytes.
  public var shares: (seconds: Double, bytes: Double) {
    func share(_ cost: Double, saved: Double) -> Double {
      saved + cost > 0 ? cost / (saved + cost) : .infinity
    }
    return (
      share(gate.seconds, saved: savedSeconds),
      share(Double(gate.byteCount), saved: Double(savedByteCount))
    )
  }

  /// Why the gates do not pay; nil where they do.
  public var reason: String? {
    let (shares, limit) = (shares, GateCost.limit)
    guard savedSeconds <= 0 || max(shares.seconds, shares.bytes) >= limit else { return nil }
    let result =
      "a gate \(savedSeconds > 0 ? "saves" : "adds") \(Quantity.text(seconds: abs(savedSeconds))) "
      + "of \(Quantity.text(seconds: dense.seconds)), and sends and stores "
      + "\(Quantity.text(byteCount: abs(savedByteCount))) \(savedByteCount < 0 ? "more" : "less"), of "
      + "\(circumstances)"
    guard savedSeconds > 0, savedByteCount > 0 else { return result }
    let (share, kind) =
      shares.seconds >= limit ? (shares.seconds, "time") : (shares.bytes, "bytes")
    return "\(result): it costs \(Int((100 * share).rounded())) % of the \(kind) that it saves "
      + "(most: \(Int(100 * limit)) %)"
  }

  var json: JSON {
    [
      "dense": dense.json, "gated": gated.json, "gate": gate.json,
    ]
  }
}
