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
    try check(vector, at: vector.folder.path)
  }

  /// The same configuration as version 5 of the library writes it.
  @Test(arguments: FamilyVector.all.filter { $0.has("config-5.json") })
  func readsNewerConfigurations(vector: FamilyVector) throws {
    let scratch = try ScratchFolder()
    for name in try FileManager.default.contentsOfDirectory(atPath: vector.folder.path)
    where name != "config.json" {
      try FileManager.default.copyItem(
        atPath: vector.folder.appending(path: name).path,
        toPath: scratch.file(name == "config-5.json" ? "config.json" : name))
    }
    try check(vector, at: scratch.path)
  }

  /// Names, orders and settings of llama.cpp's files are put back.
  @Test(arguments: FamilyVector.all.filter { $0.has("model.gguf") })
  func readsGGUF(vector: FamilyVector) throws {
    try check(vector, at: vector.folder.appending(path: "model.gguf").path)
  }

  private func check(_ vector: FamilyVector, at path: String) throws {
    let loaded = try ModelLoader.load(
      path: path, output: vector.head == "embedding" ? .embedding : nil)
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

  /// Each family has a model of each output that it is said to have, and no other.
  @Test func theListNamesWhatIsTested() {
    // The first is in a fixture of its own, the second is the third inside another model.
    let listed = FamilyDescription.all.filter { !["chatglm", "gemma3"].contains($0.name) }
    let tested = Dictionary(grouping: FamilyVector.all, by: \.family)
    #expect(Set(listed.map(\.name)) == Set(tested.keys))
    for family in listed {
      let outputs = Set(tested[family.name, default: []].map(\.head))
      #expect(outputs.isSubset(of: family.outputs.map(\.rawValue)), "\(family.name)")
    }
  }

  @Test func theFormatsListTheSame() throws {
    let text = try String(
      contentsOf: Repository.root.appending(path: "formats/checkpoints.md"), encoding: .utf8)
    #expect(text.contains(FamilyDescription.markdown))
  }
}
