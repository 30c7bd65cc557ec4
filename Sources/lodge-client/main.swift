// lodge-client: shares a prompt with both parties and puts their answers together.

import Arguments
import Bytes
import OnlineRuntime
import Program
import Sharing

Command(
  "lodge-client", summary: "asks two parties, or a provider: sends shares, reconstructs the answer",
  details: """
    A question in text is tokenised by the model's own tokenizer (--tokenizer, or beside --bundle), and
    the answer is printed as it comes, up to the model's end token or --stop; several questions take
    a session each, side by side. With --tokens, ids are asked and printed. An encoder's classes are printed with
    their probabilities; --out writes all rows of the output: logits, states, or the embedding.
    Programs ask by --request, with nothing of the question on the command line (as tools/serve does).

    --chat without a question is a conversation in one session: what was said is not computed again. The
    session is asked for with --room tokens behind the first question; where it is over, or the chat
    template changes what was said, another begins. The parties learn how many tokens each turn has.

    With --provider this is the user, who is party 1 as well: --bundle is user.bundle, --correlations
    the folder with the user's .corr files, and the ledger notes which of them are used. --folder names
    what `lodge-model convert` wrote for the client or the user, instead of these.
    """,
  example: """
    lodge-client --folder served --party0 127.0.0.1:9000 --party1 127.0.0.1:9001 \\
      'It was the best of times' --new 32
    lodge-client --folder served/user --provider 192.0.2.10:9000 --tokens prompt.json
    lodge-client --party0 192.0.2.10:9000 --party1 192.0.2.11:9000 --tokens prompt.json \\
      --identity client.key --party0-key party0.key.pub --party1-key party1.key.pub
    lodge-client --provider 192.0.2.10:9000 --bundle user/user.bundle \\
      --correlations correlations/party1 --tokens prompt.json \\
      --identity user.key --provider-key provider.key.pub
    """,
  positionals: [
    Positional(
      "QUESTION", .string, isRequired: false, isRepeated: true, isPrivate: true,
      help: "texts to go on from, or to answer; - reads standard input")
  ],
  options: [
    Option("party0", .string, placeholder: "HOST:PORT", help: "party 0"),
    Option("party1", .string, placeholder: "HOST:PORT", help: "party 1"),
    Option("provider", .string, placeholder: "HOST:PORT", help: "a provider, instead of both"),
    Option(
      "folder", .path, placeholder: "DIR",
      help: "the client's or the user's folder of a conversion, or that of all roles"),
    Option("file", .path, help: "file with the question, instead of QUESTION"),
    Option("tokens", .path, help: "JSON array of token ids, instead of QUESTION"),
    Option(
      "request", .path,
      help: "JSON that holds the question, - for standard input: JSON lines answer it"),
    Option(
      "tokenizer", .path, placeholder: "FOLDER",
      help: "folder of the model's tokenizer.json (default: beside --bundle, or in --folder)"),
    Option(
      "start", .integer(0...Int(Int32.max)), placeholder: "ID",
      help: "token to put before each question (default: what the conversion had)"),
    .flag(
      "chat",
      help:
        "put questions into the tokenizer's chat template; without any, or with -, converse by lines"
    ),
    .flag(
      "lines",
      help: "--request -: a request a line, whose messages go on in the session that they continue"),
    Option("new", .integer(1...1 << 20), default: "32", help: "tokens to generate (decoder)"),
    Option(
      "temperature", .number(0...100), default: "0",
      help: "draw tokens by e^(logit / temperature); 0 takes the likeliest"),
    Option(
      "top-k", .integer(1...1 << 24), placeholder: "N", help: "draw from the N likeliest only"),
    Option(
      "top-p", .number(0...1), placeholder: "P",
      help: "draw from the fewest that have the probability P together"),
    Option("seed", .integer(0...Int.max), help: "make the same choices again"),
    Drafting.options[0], Drafting.options[1], Drafting.options[2],
    Option(
      "stop", .string, placeholder: "ID|TEXT",
      help: "end at such a token: ids as 43,47, the settings (or folder) that name them, or a text"),
    Option(
      "bundle", .path, help: "client.bundle, where the client holds the embedding; user.bundle"),
    Option(
      "correlations", .path, placeholder: "DIR", help: "folder with the user's .corr files"),
    Option("ledger", .path, help: "database of the user's sessions (default: BUNDLE.ledger)"),
    Option(
      "scratch", .path, placeholder: "DIR",
      help: "folder for the plaintext of a user's sealed files, without a name (default: memory)"),
    Option(
      "trust", .string, placeholder: "KEY",
      help:
        "public keys of owner and dealer (lines or files, by commas): refuse what they did not sign"
    ),
    Option("out", .path, help: "NPY file for the reconstructed output rows, such as an embedding"),
    Option("logits", .path, help: "the same, for logits"),
    Option("identity", .path, help: "this client's private key, from 'lodge-party keygen'"),
    Option(
      "party0-key", .string, placeholder: "KEY",
      help: "public key of party 0: its line, or a file with it"),
    Option("party1-key", .string, placeholder: "KEY", help: "public key of party 1"),
    Option("provider-key", .string, placeholder: "KEY", help: "public key of the provider"),
    .flag(
      "insecure-plaintext",
      help: "plain TCP beyond this machine: the network reads the prompt and the answer"),
    Option(
      "concurrent", .integer(1...PartyConfiguration.maximumConcurrency), default: "4",
      help: "questions that are asked at once; answers are printed in their order"),
    Option("timeout", .duration, default: "120s", help: "longest wait for a turn"),
    Option(
      "silence", .duration,
      help:
        "longest silence in a session (default: 60s of two parties, at least 10s; 300s of a provider)"
    ),
    Option(
      "wait", .duration, default: "30s", help: "longest wait for servers that do not listen yet"),
    .json,
  ]
) { arguments in
  try checkAddresses(arguments)
  arguments.printConfiguration()
  let converses = Chat.isAsked(arguments)
  guard converses || arguments.flag("lines") || !arguments.isGiven("room") else {
    throw UsageError("--room goes with a conversation: --chat without QUESTION, or --lines")
  }
  guard arguments.isGiven("request") || !arguments.flag("lines") else {
    throw UsageError("--lines goes with --request -")
  }
  if arguments.isGiven("request") { return try answerRequests(arguments) }
  if converses {
    var chat = try Chat(arguments)
    return try chat.run()
  }
  // Nothing that can be found wrong here may cost a session.
  let questions = try Questions(arguments)
  let out = try outputPath(arguments, questions)
  try Asking(questions, out: out, arguments).run()
}.main()
