// After a session its secrets are in the parties' memory no more.

import Bytes
import Correlations
import Foundation
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing

@Suite(
  .serialized,
  .enabled(if: ProcessMemory.isReadable, "this user may not read another process's memory"))
struct WipingTests {
  /// Seeds, masks and streamed shares of a session, by what they are.
  private func secrets(_ servers: Servers, party: Int, session: Int) throws -> [String: [UInt8]] {
    let bundle = try PartyBundle(path: servers.bundle(party))
    let file = try CorrelationFile(path: servers.session(session, party), verifying: true)
    let streams = try file.streams()
    var result = ["seed": streams.seed.bytes]
    for (index, node) in bundle.program.nodes.enumerated() {
      guard case .open(let x, _) = node.operation, bundle.program.values[x].shape.width ?? 0 >= 4
      else { continue }
      let words = streams.mask(node: index).words(at: 0, count: 4)
      result["mask of node \(index)"] = words.flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
      }
    }
    return result
  }

  @Test(arguments: [0, 1])
  func nothingOfAFinishedSessionIsLeft(party: Int) throws {
    let parties = try Parties(Servers())
    let secrets = try secrets(parties.servers, party: party, session: 0)
    try #require(secrets.count > 10)
    let memory = ProcessMemory(identifier: parties[party].tool.identifier)
    // In the middle of a session they are there: the search finds what is to be found.
    let client = try parties.begin()
    try client.stepOneRow()
    let during = try memory.found(secrets)
    #expect(during.contains("seed") && during.count > 1, "\(during.sorted())")
    try client.end()
    try parties[party].tool.await(" finished: ")
    var left = try memory.found(secrets)
    let end = ContinuousClock.now + .seconds(3)
    while !left.isEmpty, ContinuousClock.now < end {
      usleep(50_000)
      left = try memory.found(secrets)
    }
    #expect(left.isEmpty, "\(left.sorted())")
    try parties.stop()
  }
}
