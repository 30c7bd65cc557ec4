// lodge-bench: times share, deal and online of a model, dealing, and kernels. Not a product.

import Approximation
import Arguments
import Bytes
import Foundation
import Models
import Validation

Command(
  "lodge-bench", summary: "times sharing, dealing and running a model in two local parties",
  details: "Both parties run in this process and talk over loopback TCP. Medians of repetitions.",
  example: "lodge-bench opt-125m --tokens calibration.json --prompt 32 --new 32",
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and weights, or a tensor file")
  ],
  options: [
    Option(
      "tokens", .path, isRequired: true,
      help: "token lists to calibrate on; the first that is long enough gives the prompt"),
    Option("recipe", .string, default: "accurate", help: "a shipped recipe, or a JSON file"),
    Option(
      "output", .choice(ModelOutput.ofEncoders.map(\.rawValue)), placeholder: "OUTPUT",
      help: "of an encoder (default: of the head that config.json names, else states)"),
    Option("prompt", .integer(1...1 << 16), default: "32", help: "tokens of the prompt or text"),
    Option("new", .integer(1...1 << 16), default: "32", help: "new tokens (decoder)"),
    Option("repeat", .integer(1...100), default: "3", help: "repetitions"),
    .json,
  ],
  subcommands: [dealCommand, kernelsCommand]
) { arguments in
  arguments.printConfiguration()
  let path = try arguments.string("tokens")
  let console = arguments.console
  let benchmark = try Benchmark(
    checkpoint: arguments.string("CHECKPOINT"),
    output: arguments.optionalString("output").flatMap { ModelOutput(rawValue: $0) },
    recipe: Recipe.named(arguments.string("recipe")), texts: TokenFile.read(path), source: path,
    promptCount: arguments.integer("prompt"), newCount: arguments.integer("new"),
    repetitions: arguments.integer("repeat"),
    folder: TemporaryFolder(prefix: "lodge-bench")
  ) { console.report($0) }
  arguments.print(benchmark)
}.main()
