// The float interpreter on the OPT fixture against the library that trained it.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct OPTReferenceTests {
  private let reference = ReferenceModel.opt

  /// The fixture leaves out the longest prompt's logits.
  @Test func logitsOfEveryPrompt() throws { try reference.checkLogits(promptCount: 5) }
  @Test func hiddenStatesOfEveryLayer() throws { try reference.checkHiddenStates() }
  @Test func isCausal() throws { try reference.checkIsCausal() }
  @Test func observedRangesAgreeWithTheReference() throws {
    try reference.checkRanges(rowQuantity: "variance", activationInput: "feedForward.up")
  }
}
