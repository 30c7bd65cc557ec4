// `lodge-deal export`.

import Arguments
import Bytes
import Exports

let exportCommand = Command(
  "export", summary: "makes multiplication triples for MP-SPDZ",
  details: """
    OUT/party0 and OUT/party1, one for each party, hold Player-Data/2-DR-64 for semi2k-party.x (programs
    compiled with -R 64, run with -F). Triples are fresh: nothing of a model or of Lodge's own sessions
    is in them, and a program must not read them twice.
    """,
  example: """
    lodge-deal export --to mp-spdz --triples 1000000 --matrix 64x256x1024=8 --out triples
    """,
  options: [
    Option("to", .choice(["mp-spdz"]), isRequired: true, help: "who shall read the triples"),
    Option("triples", .integer(0...1 << 32), default: "0", help: "triples of numbers"),
    Option(
      "matrix", .string, placeholder: "RxKxC=N",
      help: "N triples of matrices RxK and KxC; several, with commas between"),
    Option("out", .path, isRequired: true, help: "folder to make"),
  ]
) { arguments in
  let count = try arguments.integer("triples")
  let matrices = try arguments.optionalString("matrix").map(matrixTriples) ?? []
  guard count > 0 || !matrices.isEmpty else {
    throw UsageError("--triples N or --matrix RxKxC=N is needed")
  }
  arguments.printConfiguration()
  let folder = try ExportFolder(arguments.string("out"))
  let elements = matrices.reduce(3 * count) { $0 + $1.count * $1.shape.elementCount }
  try DiskSpace.check(byteCount: 16 * elements, times: 1, of: "the triples", at: folder.path)
  let progress = Progress(
    "dealing", total: count + matrices.reduce(0) { $0 + $1.count }, unit: .items("triples"),
    console: arguments.console)
  try MPSPDZTriples(tripleCount: count, matrices: matrices).write(to: folder) {
    progress.advance(by: $0)
  }
  progress.finish()
  arguments.console.print(
    """
    \(Quantity.grouped(count)) triples of numbers, \(matrices.count) shapes of matrices; one folder a party:
      \(folder.folder(ofParty: 0))/Player-Data
      \(folder.folder(ofParty: 1))/Player-Data
    """)
}

/// "RxKxC=N", several with commas between.
private func matrixTriples(_ text: String) throws -> [(shape: MatrixTripleShape, count: Int)] {
  var result: [(shape: MatrixTripleShape, count: Int)] = []
  for word in text.split(separator: ",", omittingEmptySubsequences: false) {
    let parts = word.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, let shape = MatrixTripleShape(parts[0]), let count = Int(parts[1]),
      (1...1 << 20).contains(count)
    else {
      throw UsageError(
        "--matrix: \"\(word)\" is not RxKxC=N, such as 64x256x1024=8 (matrices up to 2^26 elements)"
      )
    }
    guard !result.contains(where: { $0.shape == shape }) else {
      throw UsageError("--matrix: \(parts[0]) is given twice")
    }
    result.append((shape, count))
  }
  return result
}
