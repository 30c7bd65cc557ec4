// The client's choice of tokens.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

struct TokenSamplerTests {
  private static let logits: [Float] = [0, 1, 3, 2.5, -1]

  private func counts(
    _ temperature: Double, topK: Int? = nil, topP: Double? = nil, count: Int = 20_000
  ) throws -> [Double] {
    var sampler = try TokenSampler(temperature: temperature, topK: topK, topP: topP, seed: 7)
    var counts = [Double](repeating: 0, count: Self.logits.count)
    for _ in 0..<count { counts[sampler.token(Self.logits)] += 1 }
    return counts.map { $0 / Double(count) }
  }

  @Test func withoutATemperatureTheLikeliestIsTaken() throws {
    var sampler = TokenSampler.greedy
    #expect(sampler.token(Self.logits) == 2)
    #expect(try counts(1, topK: 1, count: 50)[2] == 1)
    #expect(try counts(1, topP: 0.01, count: 50)[2] == 1)
  }

  @Test(arguments: [0.5, 1, 2])
  func frequenciesAreThoseOfTheSoftmax(temperature: Double) throws {
    let weights = Self.logits.map { exp(Double($0) / temperature) }
    let sum = weights.reduce(0, +)
    for (count, weight) in zip(try counts(temperature), weights) {
      // Five standard deviations of 20,000 draws.
      #expect(abs(count - weight / sum) < 5 * (0.25 / 20_000).squareRoot())
    }
  }

  @Test func unlikelyTokensAreLeftOut() throws {
    // Probabilities of 0.55, 0.33, 0.07, ...: two make 0.8.
    for counts in [try counts(1, topK: 2), try counts(1, topP: 0.8)] {
      #expect(counts[0] == 0 && counts[1] == 0 && counts[4] == 0)
      #expect(abs(counts[2] - 1 / (1 + exp(-0.5))) < 0.02)
    }
  }

  @Test func aSeedRepeatsTheChoices() throws {
    #expect(try counts(1, count: 100) == counts(1, count: 100))
    var samplers = try (0..<2).map { _ in
      try TokenSampler(temperature: 50, topK: nil, topP: nil, seed: nil)
    }
    let tokens = samplers.indices.map { index in
      (0..<100).map { _ in samplers[index].token(Self.logits) }
    }
    #expect(tokens[0] != tokens[1])
  }

  @Test func optionsThatDoNothingAreRefused() throws {
    let error = inputError {
      _ = try TokenSampler(temperature: 0, topK: 3, topP: nil, seed: nil)
    }
    #expect(error?.source == "--top-k")
  }
}
