// Two parties of a small model whose tokenizer knows a few words.

import Bytes
import Foundation
import TestSupport
import Testing

/// A checkpoint converted with a tokenizer of the words a to j (ids 1 to 10), and its running parties.
struct WordParties {
  /// A tokenizer of the words a to j.
  static let tokenizer: JSON = [
    "version": "1.0", "truncation": .null, "padding": .null, "added_tokens": [],
    "normalizer": .null, "pre_tokenizer": ["type": "WhitespaceSplit"], "post_processor": .null,
    "decoder": .null,
    "model": [
      "type": "WordLevel", "unk_token": "<unk>",
      "vocab": [
        "<unk>": 0, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10,
      ],
    ],
  ]

  /// The client's folder.
  let client: String
  let parties: [PartyProcess]

  /// A decoder with so many positions that it can be asked again.
  static func decoder() -> TinyCheckpoint {
    var checkpoint = TinyCheckpoint.opt(layerCount: 1)
    checkpoint.configuration["max_position_embeddings"] = 200
    checkpoint.add("model.decoder.embed_positions.weight", [202, 8])
    return checkpoint
  }

  /// A chat template that puts a d behind every question, and changes nothing of what was said.
  static let template =
    "{% for m in messages %}{{ m.content }} {% if m.role == 'user' %}d {% endif %}{% endfor %}"

  /// All words, in no order.
  static let text = "a b c d e f g h i j a c e g i b d f h j a d g j c f i b e h"

  /// - Parameters:
  ///   - out: The folder of all roles.
  ///   - files: What stands beside the tokenizer.
  ///   - more: Further arguments of both parties.
  init(
    _ out: String, _ checkpoint: TinyCheckpoint = decoder(), files: [String: String],
    text: String = text, convert: [String] = [], deal: [String], _ more: [String] = []
  ) throws {
    let source = try ScratchFolder()
    _ = try checkpoint.write(to: source)
    _ = try source.write(Self.tokenizer.text.utf8, to: "tokenizer.json")
    for (path, content) in files {
      try FileManager.default.createDirectory(
        atPath: FilePaths.folder(of: source.file(path)), withIntermediateDirectories: true)
      _ = try source.write(content.utf8, to: path)
    }
    try Tool.succeed(
      "lodge-model",
      [
        "convert", source.path, "--text", source.write(text.utf8, to: "text.txt"), "--out", out,
        "--recipe", "accurate",
      ] + convert)
    try Tool.succeed("lodge-deal", [out] + deal)
    let party0 = try PartyProcess(
      arguments: ["\(out)/party0", "--listen", "127.0.0.1:0"] + more, 0, peer: "127.0.0.1:0")
    let party1 = try PartyProcess(
      arguments: ["\(out)/party1", "--listen", "127.0.0.1:0"] + more, 1, peer: party0.address)
    client = "\(out)/client"
    parties = [party0, party1]
  }

  /// Options of a client of both.
  var clientArguments: [String] {
    ["--folder", client, "--party0", parties[0].address, "--party1", parties[1].address]
  }

  /// How many sessions ended in a way, as party 0 tells.
  func count(_ end: String) throws -> Int {
    try parties[0].tool.messages.components(separatedBy: " \(end): ").count - 1
  }

  func stop() throws {
    for party in parties.reversed() { try party.stop() }
  }
}
