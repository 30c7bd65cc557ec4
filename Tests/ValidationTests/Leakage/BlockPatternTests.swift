// How far patterns of running blocks tell tokens, to whoever knows other texts or the model.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

struct BlockPatternTests {
  /// Patterns of the gated fixture, for texts that calibrate it and others.
  struct Fixture {
    let patterns: BlockPatterns
    let own: [BlockPatterns.Row]
    let others: [BlockPatterns.Row]
    var random = SplitMix(0x5eed)

    init(ownTexts: Int, otherTexts: Int) throws {
      let folder = Repository.fixtures.appending(path: "opt-dickens-gated").path
      patterns = BlockPatterns(try FloatInterpreter(ModelLoader.load(path: folder)))
      let path = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path
      let texts = try TokenFile.read(path)
      own = try patterns.rows(Array(texts.prefix(ownTexts)))
      others = try patterns.rows(Array(texts.dropFirst(ownTexts).prefix(otherTexts)))
    }

    /// The share of blocks whose number is found, of blocks that run at all in both.
    func found(_ guess: [Int], _ order: [Int], _ seen: [BlockPatterns.Row]) -> Double {
      let running = order.indices.filter { place in seen.contains { $0.bits[place] } }
      let right = running.count { guess[$0] == order[$0] }
      return Double(right) / Double(max(running.count, 1))
    }
  }

  /// A party that was told some prompts reads tokens of others by their patterns, in whatever order
  /// blocks are.
  @Test func knownPromptsTellTokens() throws {
    var fixture = try Fixture(ownTexts: 6, otherTexts: 1)
    let order = fixture.patterns.order(&fixture.random)
    let rate = BlockPatterns.readTokens(
      of: fixture.patterns.numbered(fixture.others, order),
      known: fixture.patterns.numbered(fixture.own, order))
    let counts = Dictionary(grouping: fixture.others, by: \.token).mapValues(\.count)
    let guessing = Double(counts.values.max() ?? 0) / Double(fixture.others.count)
    #expect(rate > 2 * guessing, "\(rate), by guessing \(guessing)")
    // Under another order, what was learned is worth nothing.
    let reshuffled = BlockPatterns.readTokens(
      of: fixture.patterns.numbered(
        fixture.others, fixture.patterns.order(&fixture.random)),
      known: fixture.patterns.numbered(fixture.own, order))
    #expect(reshuffled < rate / 2, "\(reshuffled) of \(rate)")
  }

  /// Noise makes patterns of one token differ, those that are known and those that are read.
  @Test func noiseHidesTokens() throws {
    var fixture = try Fixture(ownTexts: 6, otherTexts: 1)
    func rate(noise: Int) -> Double {
      BlockPatterns.readTokens(
        of: BlockPatterns.noisy(fixture.others, noise: noise, &fixture.random),
        known: BlockPatterns.noisy(fixture.own, noise: noise, &fixture.random))
    }
    let rates = [0, 20, 200].map(rate)
    #expect(rates[1] < rates[0] && rates[2] < 0.6 * rates[0], "\(rates)")
  }

  /// Whoever has the model aligns numbers with blocks, and then reads tokens by patterns of its own.
  @Test func theModelTellsTheOrder() throws {
    var fixture = try Fixture(ownTexts: 4, otherTexts: 4)
    let order = fixture.patterns.order(&fixture.random)
    let seen = fixture.patterns.numbered(fixture.others, order)
    let guess = fixture.patterns.aligned(seen: seen, model: fixture.own)
    let found = fixture.found(guess, order, seen)
    #expect(found > 0.3, "\(found)")
    // Each row under an order of its own has nothing to align.
    let mixed = fixture.others.map { row in
      fixture.patterns.numbered([row], fixture.patterns.order(&fixture.random))[0]
    }
    let blind = fixture.patterns.aligned(seen: mixed, model: fixture.own)
    #expect(fixture.found(blind, order, seen) < found / 3)
  }
}
