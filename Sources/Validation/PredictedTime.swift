// The time of one step as the client sees it: flights, bytes, computation, and the client's link.

import Bytes
import OnlineRuntime
import Program

/// The parts of a step's time, in seconds; the step takes their sum.
struct PredictedTime {
  /// Both parties send at once: an exchange is one flight, half a round trip.
  var flights: Double
  /// What each party sends, on the link between them.
  var bytes: Double
  /// nil where it was not measured; it then counts for nothing.
  var compute: Double?
  /// One flight with the input, which a user does not need, one with the output, and their bytes on
  /// the client's link.
  var client: Double

  var total: Double { flights + bytes + (compute ?? 0) + client }

  init(
    _ cost: StepCost, on network: NetworkProfile, compute: Double?, client: NetworkProfile,
    clientByteCount: Int, clientFlights: Int
  ) {
    let sent = cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)
    flights = Double(cost.roundCount) * network.roundTripSeconds / 2
    bytes = Double(sent) * 8 / network.bitsPerSecond
    self.compute = compute
    self.client =
      Double(clientFlights) * client.roundTripSeconds / 2 + Double(clientByteCount) * 8
      / client.bitsPerSecond
  }

  var json: JSON {
    [
      "flights": .number(flights), "bytes": .number(bytes),
      "compute": compute.map(JSON.number) ?? .null, "client": .number(client),
      "total": .number(total),
    ]
  }
}

extension SecureProgram {
  /// Bytes of `step` on the client's link: its input to both parties, and the output of each; of a
  /// user the size of the step, and the provider's output.
  func clientByteCount(_ step: SessionStep, _ deployment: Deployment) -> Int {
    func count(_ value: ProgramValue?) -> Int { value.map { step.elementCount($0.shape) } ?? 0 }
    if deployment == .providerUser {
      return
        (ClientTraffic.inputByteCount(wordCount: 0)
        + ClientTraffic.outputByteCount(count: count(outputValue), bits: outputBits)) / 2
    }
    return ClientTraffic.inputByteCount(wordCount: count(inputValue))
      + ClientTraffic.outputByteCount(count: count(outputValue), bits: outputBits)
  }
}
