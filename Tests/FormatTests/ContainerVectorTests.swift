// Containers of formats/vectors: each is refused at the stage that its name tells.

import Bytes
import Containers
import Foundation
import TestSupport
import Testing

struct ContainerVectorTests {
  static let vectors = FormatVector.all(in: "container")

  @Test func thereAreVectors() { #expect(Self.vectors.count > 40) }

  @Test(arguments: vectors) func failsAtItsStage(vector: FormatVector) throws {
    let path = try #require(vector.files["lodge"])
    func error(verifying: Bool) -> InputError? {
      inputError { _ = try ContainerReader(path: path, kind: nil, verifying: verifying) }
    }
    let opening = error(verifying: false)
    let verifying = error(verifying: true)
    #expect((opening != nil) == (vector.stage == .open), "\(String(describing: opening))")
    #expect((verifying == nil) == (vector.stage == .valid), "\(String(describing: verifying))")
    if let verifying { #expect(verifying.source == path) }
  }

  @Test func theSampleHoldsWhatItSays() throws {
    let reader = try ContainerReader(
      path: "\(FormatVector.folder)/container/valid-sample.lodge", kind: "sample", verifying: true)
    #expect(reader.header == ["layers": 4, "name": "été", "scale": 0.5])
    let shares = try reader.read("shares", as: UInt64.self, shape: [3, 5])
    #expect(shares == (1...15).map { $0 &* 0x0123_4567_89ab_cdef })
    let chunks = try reader.read("chunks", as: UInt8.self, shape: [800])
    #expect(chunks == (0..<800).map { UInt8($0 % 200) })
    #expect(try reader.read("public/empty", as: Int8.self, shape: [0, 7]).isEmpty)
  }
}
