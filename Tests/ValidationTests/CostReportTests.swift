// Predicted times and figures of a layer: what is added up, and what is divided by what.

import Bytes
import Foundation
import Program
import TestSupport
import Testing
import Validation

@Suite struct CostReportTests {
  private static let network = NetworkProfile(
    "parties", roundTripSeconds: 0.01, bitsPerSecond: 1e8)
  private static let clientLink = NetworkProfile(
    "client", roundTripSeconds: 0.04, bitsPerSecond: 1e7)

  private func object(_ json: JSON, _ names: String...) throws -> [String: JSON] {
    var value = json
    for name in names {
      guard case .object(let members) = value else { break }
      value = try #require(members[name], "\(name)")
    }
    guard case .object(let members) = value else { throw InputError("cost", "\(names)") }
    return members
  }

  private func number(_ json: JSON?) throws -> Double {
    switch try #require(json) {
    case .number(let value): value
    case .integer(let value): Double(value)
    default: throw InputError("cost", "not a number")
    }
  }

  /// An exchange is half a round trip, and the client's input and output are a flight each.
  @Test func timeIsFlightsBytesComputationAndTheClient() throws {
    let files = try ConversionFiles.tiny(.opt())
    let session = try SessionShape.requested(program: files.program, prompt: 3, new: 3)
    let compute = try #require(try MeasuredCompute(program: files.program, session: session))
    #expect(compute.promptSeconds > 0 && compute.tokenSeconds > 0 && compute.tokenSeconds < 5)
    let report = CostReport(
      program: files.program, session: session, network: Self.network, clientLink: Self.clientLink,
      compute: compute)
    let token = SessionStep(session: session, rows: 4..<5, index: 2)
    let cost = files.program.cost(of: token)
    let time = try object(report.json, "seconds", "token")
    #expect(abs(try number(time["flights"]) - Double(cost.roundCount) * 0.005) < 1e-12)
    let sent = cost.openedWordCount * 8 + cost.roundCount * 16 + 16
    #expect(abs(try number(time["bytes"]) - Double(sent) * 8 / 1e8) < 1e-12)
    #expect(try number(time["compute"]) == compute.tokenSeconds)
    // One-hot input to party 0, logits from both in their bits; headers of 16, 16 and 32 bytes.
    let outputBits = files.program.outputBits
    #expect(outputBits < 50)
    let client = (16 + 16 + 8 * 11) + (16 + 16) + 2 * (16 + 32 + 8 * ((11 * outputBits + 63) / 64))
    #expect(abs(try number(time["client"]) - (0.04 + Double(client) * 8 / 1e7)) < 1e-12)
    let parts = try ["flights", "bytes", "compute", "client"].reduce(0.0) {
      $0 + (try number(time[$1]))
    }
    #expect(abs(try number(time["total"]) - parts) < 1e-12)
    #expect(report.text.contains("measured on this machine"))
    let without = CostReport(program: files.program, session: session, network: Self.network)
    #expect(try object(without.json, "seconds", "token")["compute"] == .null)
    #expect(without.text.contains("left out"))
  }

  /// Of a shorter prompt every step is that of a session in which it was asked.
  @Test func stepsAreThoseOfTheText() throws {
    let files = try ConversionFiles.tiny(.opt())
    let session = try SessionShape.requested(program: files.program, prompt: 3, new: 3)
    let report = CostReport(
      program: files.program, session: session, network: Self.network, textCount: 2,
      listsSteps: true)
    guard case .array(let steps)? = try object(report.json)["steps"] else {
      Issue.record("no steps")
      return
    }
    let expected = [0..<2, 2..<3, 3..<4].enumerated().map { index, rows in
      files.program.cost(of: SessionStep(session: session, rows: rows, index: index))
    }
    #expect(steps.count == 3)
    for (step, cost) in zip(steps, expected) {
      guard case .object(let members) = step else { continue }
      let sent = cost.byteCount(frameByteCount: 16)
      #expect(try number(members["bytesPerParty"]) == Double(sent))
    }
    #expect(expected[0].openedWordCount < files.program.cost(of: session.firstStep).openedWordCount)
  }

  /// The last layer of a prompt is evaluated for its last row alone: it says nothing of a layer.
  @Test func prunedLayersAreNotDividedBy() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 3))
    let session = try SessionShape.requested(program: files.program, prompt: 4, new: 2)
    let report = CostReport(program: files.program, session: session, network: Self.network)
    let prompt = SessionStep(session: session, rows: 0..<4, index: 0)
    let layers = (0..<3).map { layer in
      files.program.cost(of: prompt) { $0.label.hasPrefix("layers.\(layer).") }.openedWordCount
    }
    #expect(layers[2] < layers[1])
    #expect(try number(object(report.json)["layerCount"]) == 2)
    let counted = try object(report.json, "layers", "prompt")
    let rounds = try number(counted["rounds"])
    #expect(
      try number(counted["bytesPerParty"]) - 16 * rounds == Double(8 * (layers[0] + layers[1])))
    #expect(report.text.contains("Per layer of which all rows are needed (2 of 3) and token"))
  }

  /// What a layer shares with those before and behind it is counted once: a layer takes 15 flights with
  /// a coarse maximum, 13 without.
  @Test func flightsOfALayer() throws {
    let files = try ConversionFiles.tiny(.bert(layerCount: 4))
    let session = try SessionShape.requested(program: files.program, prompt: 4, new: nil)
    let report = try object(
      CostReport(program: files.program, session: session, network: Self.network).json)
    let coarse = Set(
      files.program.nodes.compactMap { node in
        if case .coarseSteps = node.operation { node.label.split(separator: ".")[1] } else { nil }
      })
    // From the end of the first attention on.
    let expected = (1...3).reduce(0) { $0 + (coarse.contains("\($1)") ? 15 : 13) }
    #expect(try number(report["flightsPerLayer"]) * 3 == Double(expected), "\(coarse)")
  }
}
