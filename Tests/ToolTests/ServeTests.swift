// tools/serve before two pairs of parties, asked by OpenAI's own client.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct ServeTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

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
    let model = try WordParties(
      folder.file(name), checkpoint, files: files, text: text, convert: convert, deal: deal)
    let endpoint = try RunningTool(
      executable: Repository.root.appending(path: "tools/serve"),
      try arguments(model.client, model.parties[0].address, model.parties[1].address)
        + ["--model", "tiny"] + options)
    try endpoint.await("tiny listens on ")
    let port = try #require(endpoint.messages.components(separatedBy: "127.0.0.1:").last)
    return Served(
      parties: model.parties, endpoint: endpoint, port: String(port.prefix { $0 != "/" }),
      keyFile: "\(model.client)/serve.key")
  }

  private func arguments(_ client: String, _ party0: String, _ party1: String) throws -> [String] {
    [
      client, "--tools", try Tool.executable("lodge-client").deletingLastPathComponent().path,
      "--party0", party0, "--party1", party1, "--listen", "127.0.0.1:0",
    ]
  }

  /// Completions, chats and embeddings, whole and streamed; what is refused costs no session.
  @Test(.needsOpenAI) func openAIsClientIsAnswered() throws {
    let decoder = try serve(
      "decoder", WordParties.decoder(),
      files: ["chat_template.jinja": "{% for m in messages %}{{ m.content }} {% endfor %}d"],
      text: WordParties.text, convert: [],
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

  /// Messages that continue a conversation go on in its session; others do not.
  @Test(.needsOpenAI) func conversationsGoOn() throws {
    let served = try serve(
      "chats", WordParties.decoder(), files: ["chat_template.jinja": WordParties.template],
      text: WordParties.text, convert: [],
      deal: ["--sessions", "4", "--prompt", "40", "--new", "60"],
      ["--conversations", "1", "--idle", "2", "--room", "60"])
    let outcome = try PythonTool("development/check-serve").run([
      "--conversations", served.port, "--decoder-key", served.keyFile,
    ])
    #expect(outcome.status == 0, "\(outcome.errors.suffix(2000))")
    let party = served.parties[0].tool
    try party.await(" finished: ", count: 4)
    let log = try party.messages
    #expect(!log.contains(" burned: "), "\(log)")
    #expect(try served.endpoint.messages.contains(" of them kept"))
  }

  @Test(.needsOpenAI) func wrongStartsAreRefused() throws {
    _ = try folder.write(WordParties.tokenizer.text.utf8, to: "tokenizer.json")
    let open = try folder.write(String(repeating: "k", count: 40).utf8, to: "open.key")
    let known = try arguments(folder.path, "127.0.0.1:1", "127.0.0.1:2")
    let cases: [([String], Int32, String)] = [
      (known + ["--listen", "0.0.0.0:0"], 1, "in the clear"),
      (known + ["--room", "9"], 1, "--room: goes with --conversations"),
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
