// Parties that do not belong together, or that do not come at all.

import Bytes
import Foundation
import OnlineRuntime
import Program
import Testing

@Suite struct PeerTests {
  @Test(arguments: ["conversion", "program", "width"])
  func bothSidesNameTheDifference(kind: String) throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder)
    var provider = FakeProvider(party: 1)
    let cause: String
    switch kind {
    case "conversion":
      provider.identity.conversionDigest = [5]
      cause = "wrong peer: its bundle is of conversion"
    case "program":
      provider.identity.programDigest = [5]
      cause = "wrong peer: it runs program"
    default:
      provider.identity.inputWidth = 6
      cause = "wrong peer: its model has other widths"
    }
    let party1 = try FakeParty(provider, folder: folder, peer: party0.address)
    for party in [party0, party1] {
      let error = #expect(throws: InputError.self) { try party.worker.value() }
      #expect(error?.cause.hasPrefix(cause) == true)
      #expect(error?.hint.isEmpty == false)
    }
  }

  @Test func twoPartyOnes() throws {
    let folders = [try TemporaryFolder(), try TemporaryFolder()]
    let waiting = try Address("127.0.0.1:1")
    let first = try FakeParty(FakeProvider(party: 1), folder: folders[0], peer: waiting)
    let second = try FakeParty(FakeProvider(party: 1), folder: folders[1], peer: first.address)
    for party in [first, second] {
      let error = #expect(throws: InputError.self) { try party.worker.value() }
      #expect(error?.cause == "wrong peer: both are party 1")
    }
  }

  @Test func twoPartyZeros() throws {
    let folders = [try TemporaryFolder(), try TemporaryFolder()]
    let first = try FakeParty(FakeProvider(party: 0), folder: folders[0])
    let second = try FakeParty(FakeProvider(party: 0), folder: folders[1], peer: first.address)
    for party in [first, second] {
      let error = #expect(throws: InputError.self) { try party.worker.value() }
      #expect(error?.cause == "wrong peer: both are party 0")
    }
  }

  @Test(arguments: [0, 1])
  func aMissingPeerIsAnErrorAtTheStart(party: Int) throws {
    let folder = try TemporaryFolder()
    let nobody = try Listener(Address("127.0.0.1:0"))
    let deadEnd = nobody.address
    nobody.close()
    let alone = try FakeParty(FakeProvider(party: party), folder: folder, peer: deadEnd) {
      $0.peerTimeout = .seconds(1)
    }
    let error = #expect(throws: InputError.self) { try alone.worker.value() }
    #expect(error?.source == deadEnd.description)
    #expect(error?.cause.hasPrefix("party \(1 - party) did not come within 1 s") == true)
  }

  @Test func aSecondPartyOneDoesNotPushOutTheFirst() throws {
    let folders = [try TemporaryFolder(), try TemporaryFolder()]
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folders[0])
    let party1 = try FakeParty(FakeProvider(party: 1), folder: folders[0], peer: party0.address)
    #expect(party0.waitForLog("connected to party 1"))
    let double = try FakeParty(
      FakeProvider(party: 1), folder: folders[1], peer: party0.address
    ) { $0.peerTimeout = .seconds(1) }
    let error = #expect(throws: InputError.self) { try double.worker.value() }
    #expect(error?.cause.contains("another party 1 is connected here") == true)
    let client = try ClientSession.begin(
      party0: party0.address, party1: party1.address, promptCount: 1, newCount: 0)
    try client.end()
    try party0.stop()
    try party1.stop()
  }

  @Test func exchangedAddressesAreNoticedByTheClient() throws {
    let folder = try TemporaryFolder()
    let party0 = try FakeParty(FakeProvider(party: 0), folder: folder)
    let party1 = try FakeParty(FakeProvider(party: 1), folder: folder, peer: party0.address)
    let error = #expect(throws: InputError.self) {
      try ClientSession.begin(
        party0: party1.address, party1: party0.address, promptCount: 1, newCount: 0)
    }
    #expect(error?.cause == "this is party 1")
    try party0.stop()
    try party1.stop()
  }

  /// Elements of the output travel in their bits, and are two's complement numbers of these.
  @Test(arguments: [22, 43, 63, 64]) func sharesOfOutputsAddUp(bits: Int) {
    let identity = PartyIdentity(
      party: 0, programDigest: [1], conversionDigest: [2], inputWidth: 1, outputWidth: 3,
      isDecoder: false, outputBits: bits)
    let most = Int64.max >> (64 - bits)
    let numbers = [most, -1, 0, -most - 1, 1, most].map { UInt64(bitPattern: $0) }
    let share: [UInt64] = [.max, 1 << 62, 77, 0, .max - 5, 3]
    let packed = [share, zip(numbers, share).map { $0 &- $1 }].map(identity.packedOutput)
    #expect(packed[0].count == (6 * bits + 63) / 64)
    let request = StepRequest(rowCount: 2)
    #expect(identity.outputCount(words: packed[0].count, request) == 6)
    #expect(identity.outputCount(words: packed[0].count + 7, request) == nil)
    #expect(identity.output(of: 6, packed[0], packed[1]) == numbers)
  }
}
