// `lodge-bench kernels`.

import Arguments
import Bytes
import Rings
import Validation

let kernelsCommand = Command(
  "kernels", summary: "measures ring products, random streams and comparison functions on one core",
  details: """
    Rates are medians of repetitions, by the processor time of one thread. What is compared takes turns
    within a repetition, so that ratios hold on a machine that does other work, too.
    """,
  example: "lodge-bench kernels --repeat 9",
  options: [
    Option("repeat", .integer(1...1000), default: "5", help: "repetitions"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let repetitions = try arguments.integer("repeat")
  let console = arguments.console
  console.report("products")
  let products = ProductBenchmark(repetitions: repetitions)
  console.report("streams")
  let streams = StreamBenchmark(repetitions: repetitions)
  console.report("comparison functions")
  let comparisons = ComparisonBenchmark(repetitions: repetitions)
  let walks = ComparisonWalkBenchmark(repetitions: repetitions)
  let lookups = LookupBenchmark(repetitions: repetitions)
  let arms = KernelArm.available.map(\.description)
  if arguments.flag("json") {
    let report: JSON = [
      "machine": .string(Benchmark.machine), "arms": .array(arms.map { .string($0) }),
      "repetitions": .integer(repetitions), "products": products.json, "streams": streams.json,
      "comparisons": comparisons.json, "comparisonWalks": walks.json,
      "lookups": lookups.json,
    ]
    console.print(report.indentedText)
  } else {
    console.show(
      TextDocument([
        products.document, streams.document, comparisons.document, walks.document,
        lookups.document,
        """
        medians of \(repetitions) on one core of \(Benchmark.machine); arms: \
        \(arms.joined(separator: ", "))
        """,
      ]))
  }
}
