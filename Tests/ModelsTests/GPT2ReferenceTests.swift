// The float interpreter on a GPT-2 against the library that trained it, in both of its formats.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite(.needsSharedModels) struct GPT2ReferenceTests {
  @Test(arguments: ["pytorch_model.bin", "tf_model.h5"])
  func logitsOfEveryPrompt(file: String) throws {
    try ReferenceModel.gpt2.checkLogits(of: file)
  }

  @Test func hiddenStatesOfEveryLayer() throws { try ReferenceModel.gpt2.checkHiddenStates() }
  @Test func isCausal() throws { try ReferenceModel.gpt2.checkIsCausal() }
  @Test func observedRangesAgreeWithTheReference() throws {
    try ReferenceModel.gpt2.checkRanges(
      rowQuantity: "variance", activationInput: "feedForward.up")
  }

  /// The weights of the graph are the same numbers, whatever the file names them.
  @Test func bothFormatsGiveTheSameWeights() throws {
    let folder = try ReferenceModel.gpt2.folder
    let first = try ModelLoader.load(path: folder.appending(path: "pytorch_model.bin").path)
    let second = try ModelLoader.load(path: folder.appending(path: "tf_model.h5").path)
    #expect(first.model == second.model)
    #expect(first.unusedKeys == (0..<5).map { "h.\($0).attn.bias" })
    #expect(second.unusedKeys == [])
    for weight in first.model.weights {
      #expect(try first.weight(weight.name) == second.weight(weight.name), "\(weight.name)")
    }
  }
}
