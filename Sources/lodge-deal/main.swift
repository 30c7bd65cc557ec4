// lodge-deal: makes the correlated randomness of sessions.

import Arguments
import Bytes
import Correlations
import Models
import Program
import Sharing

Command(
  "lodge-deal", summary: "makes correlated randomness: one file a party and session",
  details: """
    Run by the dealer, who here is the owner. OUT/party0 and OUT/party1 go to the two servers, one
    each; OUT/dealer.batch holds the seed of the whole batch and stays with the dealer. A session
    that is there already is kept, so an interrupted run can be repeated.
    """,
  example: "lodge-deal shares --sessions '0..<4' --prompt 64 --new 32 --out correlations",
  positionals: [Positional("DIR", .path, help: "folder written by `lodge-model share`")],
  options: [
    Option("sessions", .integerRange, default: "0..<1", help: "numbers of the sessions to deal"),
    Option("prompt", .integer(1...1 << 20), default: "64", help: "most tokens of the prompt"),
    Option(
      "new", .integer(0...1 << 20), help: "most new tokens (default 32; none for an encoder)"),
    Option("out", .path, placeholder: "CORR", isRequired: true, help: "folder of the batch"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let folder = try arguments.string("DIR")
  let bundle = try DealerBundle(path: "\(folder)/dealer.bundle")
  let shape = try SessionShape.requested(
    program: bundle.program, prompt: arguments.integer("prompt"),
    new: arguments.optionalInteger("new"))
  let batch = try Batch(
    folder: arguments.string("out"), conversion: bundle.conversion, shape: shape)
  let weights = try bundle.weights()
  let sessions = try arguments.range("sessions")
  let cost = bundle.program.correlationCost(of: shape)
  let progress = Progress(
    "dealing", total: sessions.count * bundle.program.nodes.count, unit: .items("operations"),
    console: arguments.console)
  var dealt: [Int] = []
  for session in sessions {
    let isNew = try batch.deal(session: session, program: bundle.program, weights: weights) {
      _, _ in progress.advance()
    }
    if isNew { dealt.append(session) }
  }
  progress.finish()
  let bytes = (0...1).map { cost.byteCount(party: $0) }
  if arguments.flag("json") {
    arguments.console.print(
      JSON.object([
        "batch": .string(batch.seeds.identifier.hexadecimal),
        "dealt": .array(dealt.map(JSON.integer)),
        "kept": .array(sessions.filter { !dealt.contains($0) }.map(JSON.integer)),
        "party0BytesPerSession": .integer(bytes[0]), "party1BytesPerSession": .integer(bytes[1]),
      ]).indentedText)
  } else {
    arguments.console.print(
      """
      Batch \(batch.seeds.identifier.hexadecimal): \(dealt.count) sessions dealt, \
      \(sessions.count - dealt.count) kept; each \(Quantity.text(byteCount: bytes[0])) for party \
      0 and \(Quantity.text(byteCount: bytes[1])) for party 1.
      """)
  }
}.main()
