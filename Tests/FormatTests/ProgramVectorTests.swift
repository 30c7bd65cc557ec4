// Programs of formats/vectors: each that breaks a rule is refused.

import Bytes
import Foundation
import Program
import TestSupport
import Testing

struct ProgramVectorTests {
  static let vectors = FormatVector.all(in: "program")

  @Test func thereAreVectors() { #expect(Self.vectors.count > 25) }

  @Test(arguments: vectors) func failsAtItsStage(vector: FormatVector) throws {
    let path = try #require(vector.files["json"])
    let error = inputError { _ = try SecureProgram(json: JSON.read(path), source: path) }
    #expect((error == nil) == (vector.stage == .valid), "\(String(describing: error))")
    if let error { #expect(error.source == path) }
  }
}
