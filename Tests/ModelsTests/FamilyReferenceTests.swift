// Every family and head in float against the Hugging Face library, on committed random models.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct FamilyReferenceTests {
  @Test func theIndexIsRead() throws {
    let all = try FamilyVector.read()
    #expect(all.count >= 70)
    #expect(all.allSatisfy { !$0.texts.isEmpty && $0.texts.allSatisfy { !$0.isEmpty } })
  }

  /// Outputs deviate by 3 and more, and texts exceed windows and original rotary lengths.
  @Test(arguments: FamilyVector.all) func equalsTheLibrary(vector: FamilyVector) throws {
    let loaded = try ModelLoader.load(
      path: vector.folder.path, output: vector.head == "embedding" ? .embedding : nil)
    #expect(loaded.model.output.rawValue == vector.head)
    let interpreter = try FloatInterpreter(loaded)
    let expected = try vector.outputs()
    var values: [Float] = []
    for text in vector.texts {
      let output = try interpreter.run(tokens: text)
      #expect(output.columnCount == expected.shape[1])
      values += output.values
    }
    #expect(largestDifference(values, expected.values) < 1e-3)
  }
}
