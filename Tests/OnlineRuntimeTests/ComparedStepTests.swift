// What a client asks of two parties must be the same.

import Bytes
import Foundation
import OnlineRuntime
import Program
import Testing

struct ComparedStepTests {
  /// A step of which more rows stay at one party than at the other.
  @Test func aClientThatAsksForTwoThingsIsNoticed() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder)
    let party1 = try FakeParty(FakeProvider(party: 1), folder: folder, peer: party0.address)
    // Bytes 8 ..< 12 of the step with the index 1, on its way to party 0.
    let tap = try Wiretap(to: #require(UInt16(party0.address.description.split(separator: ":")[1])))
    {
      bytes, _ in
      for start in bytes.indices.dropLast(31)
      where bytes[start...].starts(with: [0x4c, 0x57]) && bytes[start + 3] == 7
        && bytes[start + 16] == 1
      {
        bytes[start + 24] = 1
      }
    }
    defer { tap.stop() }
    func outputs(through address: Address) throws -> Int {
      let client = try ClientSession.begin(
        party0: address, party1: party1.address, promptCount: 2, newCount: 4,
        timeout: .seconds(20))
      let rows = [UInt64](repeating: 1, count: 2 * fakeInputWidth)
      _ = try client.step(rows: rows, StepRequest(rowCount: 2, outputCount: 2))
      let count = try client.step(
        rows: rows, StepRequest(rowCount: 2, keptCount: 2, outputCount: 2)
      ).count
      try client.end()
      return count
    }
    #expect(try outputs(through: party0.address) == 2 * fakeOutputWidth)
    let error = #expect(throws: InputError.self) {
      try outputs(through: Address("127.0.0.1:\(tap.port)"))
    }
    #expect(error?.cause.contains("was asked for another step by this client") == true, "\(error)")
    try party0.stop()
    try party1.stop()
  }
}
