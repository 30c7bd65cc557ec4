// `lodge-model export`.

import Approximation
import Arguments
import Bytes
import Exports
import Models
import Sharing

let exportCommand = Command(
  "export", summary: "writes a converted model's weights as shares for SPU or MP-SPDZ",
  details: """
    Two folders, OUT/party0 and OUT/party1, one for each party: shares modulo 2^64 of round(x 2^f), f
    being --fractional-bits, which the other system must be told. index.json lists what holds which
    weight; public.json has the graph and the functions that stand for non-linear operations. For SPU
    (SEMI2K, FM64) a share's meta and chunks are files; for MP-SPDZ (semi2k, -R 64) all weights stand in
    Persistence/Transactions-PN.data, which sfix.read_from_file reads. No file is Lodge's: nothing is
    signed, and each party's folder must reach that party alone.
    """,
  example: """
    lodge-model export opt.lodge --to spu --out opt-spu
    lodge-model export opt.lodge --to mp-spdz --out opt-mp-spdz
    """,
  positionals: [Positional("MODEL", .path, help: "file written by `lodge-model approximate`")],
  options: [
    Option("to", .choice(["spu", "mp-spdz"]), isRequired: true, help: "who shall read the shares"),
    Option(
      "fractional-bits", .integer(0...40),
      help: "fractional bits of the integers (default 18 for SPU, 16 for MP-SPDZ, as theirs)"),
    memoryOption,
    Option("out", .path, isRequired: true, help: "folder to make"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let memory = try memoryBudget(arguments)
  let isForSPU = try arguments.string("to") == "spu"
  let fractionalBits =
    arguments.optionalInteger("fractional-bits")
    ?? (isForSPU ? SPUExport.defaultFractionalBits : MPSPDZWeights.defaultFractionalBits)
  let folder = try ExportFolder(arguments.string("out"))
  let file = try ModelFile(path: arguments.string("MODEL"))
  let shares = FixedPointShares(
    of: file.model, file, fractionalBits: fractionalBits, memory: memory)
  let parameters = JSON.object(["model": file.model.json, "recipe": file.recipe.json])
  let count = file.model.weights.reduce(0) { $0 + $1.elementCount }
  // Each of them is 8 bytes at each party.
  try DiskSpace.check(byteCount: 16 * count, times: 1, of: "the shares", at: folder.path)
  let progress = Progress(
    "sharing", total: count, unit: .items("weights"), console: arguments.console)
  if isForSPU {
    try SPUExport(shares).write(to: folder, publicParameters: parameters) {
      progress.advance(by: $0)
    }
  } else {
    try MPSPDZWeights(shares).write(to: folder, publicParameters: parameters) {
      progress.advance(by: $0)
    }
  }
  progress.finish()
  let setting =
    isForSPU
    ? "RuntimeConfig(protocol=SEMI2K, field=FM64, fxp_fraction_bits=\(fractionalBits))"
    : "compile with -R 64 and sfix.set_precision(\(fractionalBits), ...)"
  if arguments.flag("json") {
    arguments.console.print(
      JSON.object([
        "fractionalBits": .integer(fractionalBits), "weights": .integer(file.model.weights.count),
        "elements": .integer(count), "party0": .string(folder.folder(ofParty: 0)),
        "party1": .string(folder.folder(ofParty: 1)),
      ]).indentedText)
  } else {
    arguments.console.print(
      """
      \(file.model.weights.count) weights, \(Quantity.grouped(count)) elements, as shares for two parties:
        \(folder.folder(ofParty: 0))
        \(folder.folder(ofParty: 1))
      Both read them with \(setting).
      """)
  }
}
