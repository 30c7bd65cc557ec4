// lodge-check: what anyone may check: programs, costs and digests of files.

import Arguments
import Bytes
import Containers
import Foundation
import Models
import Program
import Sharing
import Validation

let fileArgument = Positional("FILE", .path, help: "a model.lodge, or any bundle")

let programCommand = Command(
  "program", summary: "prints the secure program of a file",
  example: "lodge-check program shares/party0.bundle", positionals: [fileArgument],
  options: [.json]
) { arguments in
  let program = try ProgramFile(arguments.string("FILE")).program
  arguments.console.print(
    arguments.flag("json")
      ? program.json.indentedText : program.lines().joined(separator: "\n"))
}

let costCommand = Command(
  "cost", summary: "prints flights, bytes, correlation sizes and the time that they take",
  details: """
    Flights, bytes and sizes come from shapes alone, those of the prompt or text for as many tokens as
    --text says, or else for one that fills its session. The time is flights x round trip / 2 + bytes /
    bandwidth, what both parties compute, and the client's link: one flight with its input, one with
    the output, and their bytes. Computation is measured on this machine by running both parties on
    made-up shares, which takes some seconds and, for large models, memory for their weights.
    """,
  example: "lodge-check cost opt.lodge --prompt 64 --new 32 --rtt 10ms --bandwidth 1Gbps",
  positionals: [fileArgument],
  options: [
    Option("prompt", .integer(1...1 << 20), help: "tokens of the prompt (default 64)"),
    Option("new", .integer(0...1 << 20), help: "new tokens (default 32; none for an encoder)"),
    Option(
      "text", .integer(1...1 << 20), placeholder: "N",
      help: "tokens of a prompt or text in a session for --prompt (default: as many)"),
    Option(
      "deployment", .choice(["two-server", "provider-user"]),
      help: "who the parties are (default: as a bundle says; two-server for a model.lodge)"),
    Option("rtt", .duration, default: "10ms", help: "round-trip time between the parties"),
    Option("bandwidth", .bandwidth, default: "1Gbps", help: "bandwidth between the parties"),
    Option(
      "client-rtt", .duration, help: "round-trip time from the client (default: that of --rtt)"),
    Option(
      "client-bandwidth", .bandwidth,
      help: "bandwidth of the client's link (default: that of --bandwidth)"),
    .flag("no-compute", help: "measure nothing: leave out what the parties compute"),
    .flag("all", help: "list every part of the program, and not blocks of them"),
    .flag("steps", help: "list every step of a session as well"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let file = try ProgramFile(arguments.string("FILE"))
  let program = file.program
  let session = try CostReport.session(
    of: program, prompt: arguments.optionalInteger("prompt"),
    new: arguments.optionalInteger("new"))
  let textCount = arguments.optionalInteger("text")
  if let textCount, textCount > session.promptCapacity {
    throw UsageError(
      "--text: \(textCount) tokens, the session has room for \(session.promptCapacity)")
  }
  if textCount != nil, program.kind == .prefixDecoder {
    throw UsageError("--text: this model's prompts fill their sessions, whatever their length")
  }
  let asked = arguments.optionalString("deployment").flatMap(Deployment.init(rawValue:))
  let deployment = file.deployment ?? asked ?? .twoServer
  if let asked, (asked == .providerUser) != (deployment == .providerUser) {
    throw UsageError(
      "--deployment: \(try arguments.string("FILE")) is of a conversion for "
        + "\(deployment.rawValue), not \(asked.rawValue)")
  }
  try ShareWriter.check(program, deployment)
  let network = NetworkProfile(
    "parties", roundTripSeconds: try arguments.number("rtt"),
    bitsPerSecond: try arguments.number("bandwidth"))
  let client = NetworkProfile(
    "client", roundTripSeconds: arguments.optionalNumber("client-rtt") ?? network.roundTripSeconds,
    bitsPerSecond: arguments.optionalNumber("client-bandwidth") ?? network.bitsPerSecond)
  let compute =
    arguments.flag("no-compute")
    ? nil
    : try MeasuredCompute(
      program: program, session: session, deployment: deployment)
  if compute == nil, !arguments.flag("no-compute") {
    arguments.note(
      "both parties' weight shares do not fit into half of this machine's memory: times leave out "
        + "what they compute")
  }
  var report = CostReport(
    program: program, session: session, deployment: deployment, network: network,
    clientLink: client, compute: compute, textCount: textCount,
    listsSteps: arguments.flag("steps"))
  report.isComplete = arguments.flag("all")
  if program.hasGates, FileKind(at: try arguments.string("FILE")) == .model {
    let file = try ModelFile(path: arguments.string("FILE"))
    report.gates = try GateReport(
      program, dense: file.ungatedProgram(), calibration: file.calibration, session: session,
      token: report.token)
  }
  arguments.print(report)
}

let verifyCommand = Command(
  "verify", summary: "checks digests and shows the header of a file of any kind",
  details: """
    With a manifest, checks that the files beside it are those that it names. With --trust, every file
    must be named by a manifest that one of these keys has signed; nothing in a file is interpreted
    before that is checked. All files are checked, and what is wrong with any of them is told.
    """,
  example: """
    lodge-check verify shares/manifest.json shares/party0.bundle
    lodge-check verify --trust owner.key.pub shares/manifest.json correlations/party0/000000.json
    """,
  positionals: [
    Positional("FILE", .path, isRepeated: true, help: "containers, or a manifest.json")
  ],
  options: [
    Option(
      "trust", .string, placeholder: "KEY",
      help: "public keys whose signatures count: lines or files of them, by commas"),
    Option("identity", .path, help: "private key to open sealed files with"),
    .flag("all", help: "show all of a header, and every dataset"),
    .json,
  ]
) { arguments in
  let access = try FileAccess(
    trust: arguments.optionalString("trust"), identity: arguments.optionalString("identity"),
    scratch: nil)
  let paths = arguments.strings("FILE")
  var wrong: [String] = []
  for path in paths {
    do throws(InputError) {
      arguments.print(
        try VerifiedFile(path: path, access: access, isComplete: arguments.flag("all")))
    } catch {
      guard paths.count > 1 else { throw error }
      wrong.append(path)
      arguments.report(error)
    }
  }
  guard wrong.isEmpty else {
    throw InputError(
      "\(wrong.count) of \(paths.count) files",
      "\(wrong.count == 1 ? "is" : "are") not as \(wrong.count == 1 ? "it" : "they") should be: "
        + wrong.joined(separator: ", "))
  }
}

let logitsCommand = Command(
  "logits", summary: "compares secure logits with the plaintext model's",
  details: """
    Both files have one row of logits a generated token. Rows are compared up to the first one that
    gives another token, because what follows continues another text. Fails where such a token is
    not explained by a small margin between the plaintext model's two largest logits.
    """,
  example: "lodge-check logits secure.npy plaintext.npy",
  positionals: [
    Positional("SECURE", .path, help: "NPY file written by `lodge-client --logits`"),
    Positional("PLAINTEXT", .path, help: "NPY file written by `lodge-model logits --new`"),
  ],
  options: [
    Option(
      "margin", .number(0...1e6), default: "0.2",
      help: "plaintext margin below which tokens may differ"),
    .json,
  ]
) { arguments in
  let comparison = try LogitComparison(
    securePath: arguments.string("SECURE"), plaintextPath: arguments.string("PLAINTEXT"))
  arguments.print(comparison)
  try comparison.check(margin: arguments.number("margin"))
}

Command(
  "lodge-check", summary: "checks programs, costs, accuracy and files",
  example: """
    lodge-check program opt.lodge
    lodge-check cost opt.lodge --rtt 10ms --bandwidth 1Gbps
    lodge-check verify shares/manifest.json
    lodge-check validate opt.lodge --tokens eval.json --report opt.html
    lodge-check compare accurate.lodge bolt.lodge --tokens eval.json
    lodge-check logits secure.npy plaintext.npy
    """,
  subcommands: [
    programCommand, costCommand, verifyCommand, validateCommand, compareCommand, logitsCommand,
  ]
).main()
