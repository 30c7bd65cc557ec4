// Session files: every mismatch is refused by name before anything of them is used.

import Approximation
import Bytes
import Containers
import Correlations
import Foundation
import Models
import OnlineRuntime
import Program
import Sharing
import TestSupport
import Testing

struct CorrelationFileTests {
  /// Opens and checks a file as party 0 of `fixture` does.
  static func check(_ path: String, _ fixture: DealerFixture, party: Int = 0) throws {
    try CorrelationFile(path: path, verifying: true)
      .check(
        party: party, conversion: fixture.bundle.conversion, program: fixture.bundle.program)
  }

  static func dealt(_ fixture: DealerFixture) throws -> Batch {
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    return batch
  }

  @Test(arguments: [true, false], Recipe.Comparison.allCases)
  func dealtFilesFit(isDecoder: Bool, comparison: Recipe.Comparison) throws {
    var recipe = Recipe.accurate
    recipe.comparison = comparison
    let fixture = try DealerFixture(.tiny(isDecoder ? .opt() : .bert(), recipe: recipe))
    let batch = try Self.dealt(fixture)
    let cost = fixture.bundle.program.correlationCost(of: fixture.shape)
    for party in 0...1 {
      let path = batch.path(party: party, session: 0)
      try Self.check(path, fixture, party: party)
      let file = try CorrelationFile(path: path, verifying: false)
      #expect(file.header.batch == batch.seeds.identifier)
      #expect(file.header.shape == fixture.shape)
      let seed = batch.seeds.streams(session: 0, party: party).seed
      #expect(try file.streams().seed == seed)
      let arrays = try ContainerReader(path: path, kind: nil, verifying: false).datasets
        .reduce(0) { $0 + $1.byteCount }
      #expect(arrays == cost.byteCount(party: party) + 32)
    }
  }

  /// Tiles of bits have their size from the header, as all arrays do.
  @Test func tilesOfAnotherSizeAreRefused() throws {
    var recipe = Recipe.accurate
    recipe.comparison = .bits
    let fixture = try DealerFixture(.tiny(.opt(layerCount: 1), recipe: recipe))
    let batch = try Self.dealt(fixture)
    var program = fixture.bundle.program
    let node = try #require(
      program.nodes.firstIndex {
        if case .piecewiseLinear(_, let function) = $0.operation {
          return function.comparison == .bits
        }
        return false
      })
    guard case .piecewiseLinear(let x, var function) = program.nodes[node].operation else { return }
    let bits = try #require(program.correlationComponents(node).indices.last)
    let party = program.holder(node: node, component: bits)
    func refusal() -> InputError? {
      inputError {
        try CorrelationFile(path: batch.path(party: party, session: 0), verifying: true).check(
          party: party, conversion: fixture.bundle.conversion, program: program)
      }
    }
    #expect(refusal() == nil)
    function.comparedBits += 4
    program.nodes[node].operation = .piecewiseLinear(x, function)
    #expect(refusal()?.place == "operations/\(node)/\(bits)")
  }

  @Test func fileOfTheOtherPartyIsRefused() throws {
    let fixture = try DealerFixture()
    let batch = try Self.dealt(fixture)
    let error = inputError { try Self.check(batch.path(party: 1, session: 0), fixture) }
    #expect(error?.place == "party" && error?.hint.contains("own folder") == true)
  }

  @Test(
    arguments: [
      ("party", JSON.integer(1), "party"), ("party", 2, "party"),
      ("conversion", .string(String(repeating: "0", count: 32)), "conversion"),
      ("programDigest", .string(String(repeating: "0", count: 64)), "programDigest"),
      ("batch", "00", "batch"), ("batch", nil, "batch"), ("session", -1, "session"),
      ("session", .integer(1 << 32), "session"), ("kind", "encoder", "newCapacity"),
      ("kind", "both", "kind"), ("newCapacity", 0, "newCapacity"),
      ("promptCapacity", 0, "promptCapacity"), ("promptCapacity", 6, "promptCapacity"),
      ("more", .null, "more"),
    ] as [(String, JSON?, String)])
  func changedHeaderIsRefused(key: String, value: JSON?, place: String) throws {
    let fixture = try DealerFixture()
    let batch = try Self.dealt(fixture)
    let copy = fixture.folder("changed.corr")
    try DamagedFile.rewrite(batch.path(party: 0, session: 0), to: copy) { $0[key] = value }
    #expect(inputError { try Self.check(copy, fixture) }?.place == place)
  }

  @Test func otherShapeThanItsArraysIsRefused() throws {
    let fixture = try DealerFixture()
    let batch = try Self.dealt(fixture)
    let copy = fixture.folder("changed.corr")
    try DamagedFile.rewrite(batch.path(party: 0, session: 0), to: copy) {
      $0["promptCapacity"] = 2
    }
    let error = inputError { try Self.check(copy, fixture) }
    #expect(error?.place.hasPrefix("operations/") == true)
  }

  @Test func missingAndAdditionalArraysAreRefused() throws {
    let fixture = try DealerFixture()
    let batch = try Self.dealt(fixture)
    let path = batch.path(party: 0, session: 0)
    let copy = fixture.folder("changed.corr")
    let names = try ContainerReader(path: path, kind: nil, verifying: false).datasets.map(\.name)
    for name in [names[0], names[names.count / 2], "seed"] {
      try DamagedFile.rewrite(path, to: copy, without: [name])
      #expect(inputError { try Self.check(copy, fixture) }?.place == name)
    }
    // A file of the same session for a program that needs less.
    var smaller = fixture.bundle.program
    let last = try #require(
      smaller.nodes.indices.last { index in
        guard case .linear = smaller.nodes[index].operation else { return false }
        return names.contains { $0.hasPrefix("operations/\(index)/") }
      })
    smaller.nodes[last].operation = .combine([Term(0, 1)], constant: 0)
    let error = inputError {
      try CorrelationFile(path: path, verifying: false).check(
        party: 0, conversion: fixture.bundle.conversion, program: smaller)
    }
    #expect(error?.cause.contains("arrays") == true)
  }

  @Test func damageIsFound() throws {
    let fixture = try DealerFixture()
    let batch = try Self.dealt(fixture)
    let path = batch.path(party: 0, session: 0)
    let copy = fixture.folder("damaged.corr")
    for fraction in [0.05, 0.3, 0.55, 0.8, 0.999] {
      try DamagedFile.truncate(path, to: copy, at: fraction)
      let error = try #require(inputError { try Self.check(copy, fixture) })
      #expect(error.source == copy, "\(error)")
    }
    let reader = try ContainerReader(path: path, kind: nil, verifying: false)
    let largest = try #require(reader.datasets.max { $0.byteCount < $1.byteCount })
    let content = try reader.read(largest.name, as: UInt8.self)
    var bytes = try Data(contentsOf: URL(filePath: path))
    let place = try #require(bytes.range(of: Data(content)))
    bytes[place.lowerBound + content.count / 2] ^= 1
    try bytes.write(to: URL(filePath: copy))
    #expect(inputError { try Self.check(copy, fixture) }?.place == largest.name)
  }

  @Test func partyRefusesAForeignFolderAtOnce() throws {
    let fixture = try DealerFixture()
    let batch = try Self.dealt(fixture)
    func failure(_ folder: String, bundle: String) -> InputError? {
      inputError {
        _ = try BundleProvider(party: 0, bundlePath: bundle, correlationFolder: folder)
      }
    }
    #expect(failure("\(batch.folder)/party0", bundle: fixture.files.bundlePath(0)) == nil)
    #expect(
      failure("\(batch.folder)/party1", bundle: fixture.files.bundlePath(0))?.place == "party")
    _ = try fixture.files.shareAgain(into: "again")
    let other = fixture.folder("again/party0.bundle")
    #expect(failure("\(batch.folder)/party0", bundle: other)?.place == "conversion")
    let stranger = try ConversionFiles.tiny(.opt(layerCount: 2))
    #expect(
      failure("\(batch.folder)/party0", bundle: stranger.bundlePath(0))?.place == "programDigest")
  }
}
