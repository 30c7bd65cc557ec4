// tools/serve before two pairs of parties, asked by OpenAI's own client.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct ServeTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  /// A tokenizer of the words a to j.
  private static let tokenizer: JSON = [
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

  /// Two parties of a converted checkpoint, and the endpoint before them.
  private struct Served {
    let parties: [PartyProcess]
    let endpoint: RunningTool
    let port: String
    let keyFile: String
  }

  private func serve(
    _ name: String, _ checkpoint: TinyCheckpoint, files: [String: String], text: String,
    convert: [String], deal: [String], _ options: [String]
  ) throws -> Served {
    let source = try ScratchFolder()
    _ = try checkpoint.write(to: source)
    _ = try source.write(Self.tokenizer.text.utf8, to: "tokenizer.json")
    for (path, content) in files {
      try FileManager.default.createDirectory(
        atPath: FilePaths.folder(of: source.file(path)), withIntermediateDirectories: true)
      _ = try source.write(content.utf8, to: path)
    }
    let out = folder.file(name)
    try Tool.succeed(
      "lodge-model",
      [
        "convert", source.path, "--text", source.write(text.utf8, to: "text.txt"), "--out", out,
        "--recipe", "accurate",
      ] + convert)
    try Tool.succeed("lodge-deal", [out] + deal)
    let party0 = try PartyProcess(
      arguments: ["\(out)/party0", "--listen", "127.0.0.1:0"], 0, peer: "127.0.0.1:0")
    let party1 = try PartyProcess(
      arguments: ["\(out)/party1", "--listen", "127.0.0.1:0"], 1, peer: party0.address)
    let endpoint = try RunningTool(
      executable: Repository.root.appending(path: "tools/serve"),
      try arguments("\(out)/client", party0.address, party1.address) + ["--model", "tiny"]
        + options)
    try endpoint.await("tiny listens on ")
    let port = try #require(endpoint.messages.components(separatedBy: "127.0.0.1:").last)
    return Served(
      parties: [party0, party1], endpoint: endpoint, port: String(port.prefix { $0 != "/" }),
      keyFile: "\(out)/client/serve.key")
  }

  private func arguments(_ client: String, _ party0: String, _ party1: String) throws -> [String] {
    [
      client, "--tools", try Tool.executable("lodge-client").deletingLastPathComponent().path,
      "--party0", party0, "--party1", party1, "--listen", "127.0.0.1:0",
    ]
  }

  /// Completions, chats and embeddings, whole and streamed; what is refused costs no session.
  @Test(.needsOpenAI) func openAIsClientIsAnswered() throws {
    var checkpoint = TinyCheckpoint.opt(layerCount: 1)
    checkpoint.configuration["max_position_embeddings"] = 200
    checkpoint.add("model.decoder.embed_positions.weight", [202, 8])
    let decoder = try serve(
      "decoder", checkpoint,
      files: ["chat_template.jinja": "{% for m in messages %}{{ m.content }} {% endfor %}d"],
      text: "a b c d e f g h i j a c e g i b d f h j a d g j c f i b e h", convert: [],
      deal: ["--sessions", "12", "--prompt", "8", "--new", "120"],
      ["--concurrent", "1", "--queue", "1", "--allow-origin", "http://page.example"])
    let modules = ["Transformer", "1_Pooling/Pooling"].map { path in
      let name = path.split(separator: "/").last ?? ""
      let folder = path.split(separator: "/").dropLast().joined()
      return #"{"path":"\#(folder)","type":"sentence_transformers.models.\#(name)"}"#
    }
    let encoder = try serve(
      "encoder", TinyCheckpoint.bert(layerCount: 1),
      files: [
        "modules.json": "[\(modules.joined(separator: ","))]",
        "1_Pooling/config.json": #"{"pooling_mode_mean_tokens":true}"#,
      ],
      text: "a b c\nd e f g\nh i j\nb d f\nc e\na j i h\nb c d e\nf g",
      convert: ["--output", "embedding", "--min-cosine", "0"],
      deal: ["--sessions", "3", "--prompt", "4"], [])
    let outcome = try PythonTool("development/check-serve").run([
      "--decoder", decoder.port, "--decoder-key", decoder.keyFile, "--encoder", encoder.port,
      "--encoder-key", encoder.keyFile, "--serve", "\(decoder.endpoint.identifier)",
      "--party", "\(decoder.parties[0].tool.identifier)",
    ])
    #expect(outcome.status == 0, "\(outcome.errors.suffix(2000))")
    // Ten were answered; a client left one, and one was made to fail.
    let log = try decoder.parties[0].tool.messages
    #expect(log.components(separatedBy: " finished: ").count == 11)
    #expect(log.components(separatedBy: " burned: ").count == 3)
    let access = try decoder.endpoint.messages
    #expect(access.contains("POST /v1/completions 200 ") && access.contains("3+5 tokens"))
    #expect(access.contains("(left)") && access.contains("POST /v1/chat/completions 200"))
    let key = try String(contentsOfFile: decoder.keyFile, encoding: .utf8).dropLast()
    #expect(key.count >= 43 + 6)
    for secret in ["xyzzy", "a b c", String(key)] { #expect(!access.contains(secret)) }
    let attributes = try FileManager.default.attributesOfItem(atPath: decoder.keyFile)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    encoder.endpoint.signal(SIGTERM)
    #expect(try encoder.endpoint.wait(.seconds(10)) == 0)
  }

  @Test(.needsOpenAI) func wrongStartsAreRefused() throws {
    _ = try folder.write(Self.tokenizer.text.utf8, to: "tokenizer.json")
    let open = try folder.write(String(repeating: "k", count: 40).utf8, to: "open.key")
    let known = try arguments(folder.path, "127.0.0.1:1", "127.0.0.1:2")
    let cases: [([String], Int32, String)] = [
      (known + ["--listen", "0.0.0.0:0"], 1, "in the clear"),
      (known + ["--key-file", open], 1, "others than you can read or change it"),
      (known.filter { $0 != "--party1" && $0 != "127.0.0.1:2" }, 64, "--party1 is missing"),
    ]
    for (arguments, status, saying) in cases {
      let outcome = try PythonTool("serve").run(arguments)
      #expect(outcome.status == status && outcome.errors.contains(saying), "\(outcome.errors)")
      #expect(outcome.errorLines.count <= 2, "\(outcome.errors)")
    }
  }
}

extension Trait where Self == ConditionTrait {
  /// The test runs only where tools/test could install OpenAI's client.
  fileprivate static var needsOpenAI: Self {
    .enabled(
      if: (try? PythonTool("development/check-serve").run(["--available"]).status) == 0,
      "openai is not there: run tools/setup --tests")
  }
}
