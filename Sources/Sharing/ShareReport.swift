// What `lodge-model share` tells: the files, their sizes, and what each role learns.

public import Bytes
import Foundation

/// The result of sharing, as a table for people and JSON for machines.
public struct ShareReport {
  private let result: ShareWriter.Result
  private let folder: String
  private let byteCounts: [(name: String, byteCount: Int)]

  /// Measures the files in `folder`.
  public init(_ result: ShareWriter.Result, folder: String) throws(InputError) {
    self.result = result
    self.folder = folder
    var counts: [(String, Int)] = []
    for name in result.manifest.files.keys.sorted() {
      counts.append((name, try MappedFile(path: "\(folder)/\(name)").byteCount))
    }
    byteCounts = counts
  }

  private var bundleByteCount: Int {
    byteCounts.filter { $0.name.hasPrefix("party") }.reduce(0) { $0 + $1.byteCount }
  }

  private var fullCopyByteCount: Int { result.weightElementCount * 8 }

  public var text: String {
    var files = TextTable([("file", .left), ("bytes", .right), ("digest", .left)])
    for (name, count) in byteCounts {
      files.addRow([name, String(count), String(result.manifest.files[name]?.hexadecimal ?? "")])
    }
    var leakage = TextTable([("operations", .left), ("role", .left), ("learns", .left)])
    for entry in result.manifest.leakage {
      leakage.addRow([entry.operations, entry.role, entry.learns])
    }
    let ratio = Double(bundleByteCount) / Double(max(fullCopyByteCount, 1))
    return """
      \(files.text)

      Conversion \(result.conversion.identifier.hexadecimal) in \(folder). Both bundles together \
      are \(Quantity.decimal(ratio, fractionDigits: 3)) of one 64-bit copy of the \
      \(result.weightElementCount) shared weights.

      Leakage report
      \(leakage.text)
      """
  }

  public var json: JSON {
    [
      "manifest": result.manifest.json,
      "files": .object(
        Dictionary(uniqueKeysWithValues: byteCounts.map { ($0.name, .integer($0.byteCount)) })),
      "sharedElements": .integer(result.weightElementCount),
    ]
  }
}
