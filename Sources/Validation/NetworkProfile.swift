// Networks that costs are predicted for.

public import Bytes
import OnlineRuntime
public import Program

/// Latency and bandwidth between the two parties.
public struct NetworkProfile: Equatable, Sendable {
  public var name: String
  public var roundTripSeconds: Double
  /// In each direction.
  public var bitsPerSecond: Double

  public init(_ name: String, roundTripSeconds: Double, bitsPerSecond: Double) {
    self.name = name
    self.roundTripSeconds = roundTripSeconds
    self.bitsPerSecond = bitsPerSecond
  }

  /// Two machines in one rack.
  public static let lan = NetworkProfile("LAN", roundTripSeconds: 1e-4, bitsPerSecond: 10e9)
  /// Two providers in one region; what PermLLM assumes.
  public static let regional = NetworkProfile(
    "region", roundTripSeconds: 10e-3, bitsPerSecond: 1e9)
  /// Two continents.
  public static let wan = NetworkProfile("WAN", roundTripSeconds: 80e-3, bitsPerSecond: 100e6)

  public static let all = [lan, regional, wan]

  /// "10.0 ms, 1.00 Gbps".
  public var text: String {
    "\(Quantity.text(seconds: roundTripSeconds)), \(Quantity.text(bitsPerSecond: bitsPerSecond))"
  }

  public var json: JSON {
    [
      "name": .string(name), "roundTripSeconds": .number(roundTripSeconds),
      "bitsPerSecond": .number(bitsPerSecond),
    ]
  }

  /// Flights and bytes of `cost` alone. Both parties send at once: an exchange is one flight, half
  /// a round trip.
  public func seconds(_ cost: StepCost) -> Double {
    let bytes = cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)
    return Double(cost.roundCount) * roundTripSeconds / 2 + Double(bytes) * 8 / bitsPerSecond
  }
}
