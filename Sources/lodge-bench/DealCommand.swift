// `lodge-bench deal`.

import Arguments
import Bytes
import Foundation
import Models
import Sharing
import Validation

let dealCommand = Command(
  "deal", summary: "measures dealing against its multiplications and the writing of its bytes",
  details: """
    Sessions are dealt into --out and removed again. What they cost at least is measured in the
    same folder, in turns with them.
    """,
  example: "lodge-bench deal shares --prompt 64 --sessions 4",
  positionals: [Positional("DIR", .path, help: "folder written by `lodge-model share`")],
  options: [
    Option("prompt", .integer(1...1 << 20), default: "64", help: "tokens of the prompt or text"),
    Option("new", .integer(1...1 << 20), help: "new tokens (default 32; none for an encoder)"),
    Option("sessions", .integer(1...1 << 20), default: "4", help: "sessions that are dealt"),
    Option("memory", .byteCount, default: "2GiB", help: "memory for what is dealt at once"),
    Option("repeat", .integer(1...100), default: "3", help: "repetitions"),
    Option("out", .path, help: "folder to make (default: one for temporary files)"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let console = arguments.console
  let folder =
    if let path = arguments.optionalString("out") { try TemporaryFolder(path: path) } else {
      try TemporaryFolder(prefix: "lodge-bench")
    }
  let benchmark = try DealingBenchmark(
    bundle: DealerBundle.open(in: arguments.string("DIR")),
    promptCount: arguments.integer("prompt"), newCount: arguments.optionalInteger("new"),
    sessionCount: arguments.integer("sessions"),
    memory: MemoryBudget(byteCount: arguments.integer("memory")),
    repetitions: arguments.integer("repeat"), folder: folder
  ) { console.report($0) }
  arguments.print(benchmark)
}
