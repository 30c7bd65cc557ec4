// Ids and texts of all kinds of tokenizers are those of Hugging Face's tokenizers.

import Bytes
import Foundation
import TestSupport
import Testing
import Tokenization

/// What tools/development/compare-tokenizers wrote with the reference: texts that are hard to cut, and for each
/// tokenizer their ids and the texts of these.
struct ReferenceTests {
  private static let folder = Repository.fixtures.appending(path: "tokenizers").path
  private static let names = [
    "bpe-llama3", "bpe-gpt2-prefix", "bpe-suffix", "bpe-metaspace-first", "wordpiece-True-None",
    "unigram-nfkc", "unigram-map", "bpe-split-contiguous",
  ]

  private static func strings(_ value: JSON?) throws -> [String] {
    guard case .array(let elements) = value else { return [] }
    return elements.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }

  @Test(arguments: names)
  func idsAndTextsAreThoseOfTheReference(name: String) throws {
    let file = try JSON.read("\(ReferenceTests.folder)/expected.json")
    guard case .object(let members) = file, case .object(let all) = members["tokenizers"],
      case .object(let expected) = all[name], case .array(let lists) = expected["ids"]
    else {
      Issue.record("expected.json lacks \(name)")
      return
    }
    let texts = try ReferenceTests.strings(members["texts"])
    let whole = try ReferenceTests.strings(expected["texts"])
    let plain = try ReferenceTests.strings(expected["plainTexts"])
    try #require(texts.count == 40 && lists.count == 40 && whole.count == 40 && plain.count == 40)
    let tokenizer = try Tokenizer(folder: "\(ReferenceTests.folder)/\(name).json")
    for (index, text) in texts.enumerated() {
      let ids = try tokenizer.encode(text)
      #expect(JSON.array(ids.map(JSON.integer)) == lists[index], "text \(index)")
      let decoded = tokenizer.decode(ids, skippingSpecialTokens: false)
      #expect(decoded.utf8.elementsEqual(whole[index].utf8), "text \(index)")
      #expect(tokenizer.decode(ids).utf8.elementsEqual(plain[index].utf8), "text \(index)")
      // What comes piece by piece is the same in the end, and never half a character before.
      var stream = TextStream(tokenizer)
      var streamed = ""
      for id in ids { streamed += stream.append(id) }
      streamed += stream.finish()
      #expect(streamed.utf8.elementsEqual(plain[index].utf8), "text \(index)")
    }
  }

  @Test func specialTokensAreAddedOnlyWhenAsked() throws {
    let tokenizer = try Tokenizer(folder: "\(ReferenceTests.folder)/wordpiece-True-None.json")
    let ids = try tokenizer.encode("best", addingSpecialTokens: true)
    let bare = try tokenizer.encode("best", addingSpecialTokens: false)
    #expect(ids == [2] + bare + [3])
    #expect(tokenizer.token(2) == "[CLS]" && tokenizer.id(of: "[SEP]") == 3)
  }

  /// A BERT without tokenizer.json: the same ids from its list of words.
  @Test func aListOfWordsIsEnoughForBERT() throws {
    let path = "\(ReferenceTests.folder)/wordpiece-True-None.json"
    let tokenizer = try Tokenizer(folder: path)
    let folder = try ScratchFolder()
    var words: [String] = []
    // Without the tokens that were added behind the vocabulary.
    while let word = tokenizer.token(words.count), word != "<|a|>" { words.append(word) }
    _ = try folder.write(words.joined(separator: "\n").utf8, to: "vocab.txt")
    let other = try Tokenizer(folder: folder.path)
    for text in ["It was the [MASK] of cafés, İ", "", "中文 don't [SEP]"] {
      #expect(try other.encode(text) == tokenizer.encode(text), "\(text)")
    }
    _ = try folder.write(#"{"do_lower_case": false}"#.utf8, to: "tokenizer_config.json")
    let cased = try Tokenizer(folder: folder.path)
    #expect(try other.encode("WAS IT") == other.encode("was it"))
    #expect(try cased.encode("WAS IT") != cased.encode("was it"))
  }

  /// Marks that come of one character go before those of lower order, and half-width marks join their
  /// letters: what Foundation's single passes leave. Characters of later Unicodes stay.
  @Test(arguments: [
    ("NFD", "\u{102e0}\u{f81}", "\u{f71}\u{f80}\u{102e0}"),
    ("NFC", "a\u{102e0}\u{f81}", "a\u{f71}\u{f80}\u{102e0}"),
    ("NFKC", "\u{ff76}\u{ff9e}", "\u{30ac}"),
    ("NFKD", "\u{1fed}\u{64d}", " \u{64d}\u{308}\u{300}"),
    ("NFC", "x\u{1de4}\u{10fd94}\u{32d}\u{1714}", "x\u{1de4}\u{10fd94}\u{1714}\u{32d}"),
    ("NFC", "\u{1108}\u{1164}\u{11a8}a\u{316}\u{301}", "\u{beb5}\u{e1}\u{316}"),
    ("NFC", "\u{9c7}\u{9be}\u{915}\u{93c}", "\u{9cb}\u{915}\u{93c}"),
    ("NFC", "\u{cc6}\u{cc2}\u{cd5}", "\u{ccb}"),
    ("NFC", "\u{e0041}\u{325}", "\u{e0041}\u{325}"),
    ("NFD", "\u{11938}", "\u{11938}"),
  ])
  func formsAreThoseOfTheReference(form: String, text: String, expected: String) throws {
    let folder = try ScratchFolder()
    let scalars = Set((text + expected).unicodeScalars).sorted()
    let vocabulary = JSON.object(
      Dictionary(
        uniqueKeysWithValues: scalars.enumerated().map { (String($1), JSON.integer($0)) }))
    let file =
      #"{"version":"1.0","normalizer":{"type":"\#(form)"},"#
      + #""model":{"type":"BPE","vocab":\#(vocabulary.text),"merges":[]}}"#
    let tokenizer = try Tokenizer(folder: folder.write(file.utf8, to: "tokenizer.json"))
    #expect(
      try tokenizer.encode(text) == expected.unicodeScalars.map { scalars.firstIndex(of: $0) })
  }
}
