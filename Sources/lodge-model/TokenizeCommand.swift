// `lodge-model tokenize`: text to token ids and back, with the model's own tokenizer.

import Arguments
import Bytes
import Tokenization

let tokenizeCommand = Command(
  "tokenize", summary: "turns text into token ids and back, with a model's own tokenizer",
  details: """
    TOKENIZER is tokenizer.json, a BERT's vocab.txt, or the folder that holds one. A single text gives
    a list of ids, several a list of such lists: what --tokens of the other commands reads. The ids
    are those of Hugging Face's tokenizers; a file of a kind that is not done exactly here goes to
    tools/tokenize, which runs them.
    """,
  example: """
    lodge-model tokenize opt-125m 'It was the best of times' --out prompt.json
    lodge-model tokenize opt-125m --text calibration.txt --out calibration.json
    lodge-model tokenize opt-125m --decode answer.json
    """,
  positionals: [
    Positional("TOKENIZER", .path, help: "tokenizer.json, vocab.txt, or their folder"),
    Positional("TEXT", .string, isRequired: false, isRepeated: true, help: "texts"),
  ],
  options: [
    Option("text", .path, help: "file with a text a line, or a JSON array of texts (.json)"),
    .flag("whole", help: "the file of --text is one text"),
    Option("decode", .path, help: "print the texts of such ids instead"),
    .flag("keep-special", help: "print special tokens such as </s> as well (with --decode)"),
    Option(
      "start", .integer(0...1 << 26), placeholder: "ID",
      help: "id to put before every text, instead of what the tokenizer adds"),
    Option("max", .integer(1...1 << 24), help: "keep at most so many ids of a text"),
    .flag("exact", help: "refuse what needs tools/tokenize"),
    .flag("list", help: "write a list of lists even for a single text"),
    Option("out", .path, help: "file to write (default: standard output)"),
    .json,
  ]
) { arguments in
  let path = try arguments.string("TOKENIZER")
  let tokenizer =
    try arguments.flag("exact") ? .exact(Tokenizer(folder: path)) : TextCodec(path)
  let out = arguments.optionalString("out")
  if let out { try AtomicFile.check(out) }
  let result: String
  if let path = arguments.optionalString("decode") {
    for name in ["text", "start", "max"] where arguments.isGiven(name) {
      throw UsageError("--\(name) does not go with --decode")
    }
    guard arguments.strings("TEXT").isEmpty else { throw UsageError("--decode takes no TEXT") }
    let texts = try tokenizer.decode(
      TokenFile.read(path), source: path, skippingSpecialTokens: !arguments.flag("keep-special"))
    result =
      arguments.flag("json")
      ? JSON.array(texts.map(JSON.string)).text : texts.joined(separator: "\n")
  } else {
    let texts = try givenTexts(arguments)
    let lists = try tokenizer.encode(texts, start: arguments.optionalInteger("start"))
      .map { list in list.prefix(arguments.optionalInteger("max") ?? .max) }
    let values = lists.map { JSON.array($0.map(JSON.integer)) }
    result = (values.count == 1 && !arguments.flag("list") ? values[0] : .array(values)).text
  }
  if let out {
    try AtomicFile.write(Array((result + "\n").utf8), to: out, mode: 0o666)
    if !arguments.isGiven("decode") { arguments.printNext(next(path, tokens: out)) }
  } else {
    arguments.console.print(result)
  }
}

/// What is done with tokens in a file, where the model lies beside its tokenizer.
private func next(_ tokenizer: String, tokens: String) -> [ShellCommand] {
  let folder = FilePaths.isFolder(tokenizer) ? tokenizer : FilePaths.folder(of: tokenizer)
  guard FilePaths.exists("\(folder)/config.json") else { return [] }
  return [
    ShellCommand(
      ["lodge-model", "approximate", folder, "--tokens", tokens, "--out"]
        + [FilePaths.beside(tokens, "model.lodge")])
  ]
}

/// The texts on the command line or of `--text`.
private func givenTexts(_ arguments: ParsedArguments) throws -> [String] {
  let given = arguments.strings("TEXT")
  guard let path = arguments.optionalString("text") else {
    guard !given.isEmpty else { throw UsageError("TEXT or --text is needed") }
    guard !arguments.flag("whole") else { throw UsageError("--whole needs --text") }
    return given
  }
  guard given.isEmpty else { throw UsageError("TEXT and --text exclude each other") }
  return try TextFile.read(path, isWhole: arguments.flag("whole"))
}
