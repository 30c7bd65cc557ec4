// What `lodge-model share` tells: the files, their sizes, and what each role learns.

public import Bytes
import Containers
import Foundation
import Program
import Trust

/// The result of sharing, as a table for people and JSON for machines.
public struct ShareReport: Report {
  private let result: ShareWriter.Result
  private let folder: String
  private let delivery: Delivery

  /// - Parameter folder: Where the files were written.
  public init(_ result: ShareWriter.Result, folder: String, delivery: Delivery = .plain) {
    self.result = result
    self.folder = folder
    self.delivery = delivery
  }

  private var byteCounts: [(name: String, byteCount: Int)] {
    (Array(result.manifest.files) + Array(result.dealerManifest.files))
      .map { ($0.key, $0.value.file.byteCount) }.sorted { $0.0 < $1.0 }
  }

  private var bundleByteCount: Int {
    let deployment = result.conversion.deployment
    let names = (0...1).map { deployment.bundleName(ofParty: $0) }
    return byteCounts.filter { names.contains($0.name) }.reduce(0) { $0 + $1.byteCount }
  }

  private var fullCopyByteCount: Int { result.weightElementCount * 8 }

  public var document: TextDocument {
    var files = TextTable([("file", .left), ("size", .right), ("digest", .name)])
    for (name, count) in byteCounts {
      files.addRow([
        name, Quantity.text(byteCount: count),
        result.manifest.files[name]?.digest.hexadecimal ?? "",
      ])
    }
    var leakage = TextTable([("operations", .left), ("role", .left), ("learns", .prose)])
    for entry in result.manifest.leakage {
      leakage.addRow([entry.operations, entry.role, entry.learns])
    }
    let ratio = Double(bundleByteCount) / Double(max(fullCopyByteCount, 1))
    return """
      \(files)

      \(deliveryText)

      Conversion \(result.conversion.identifier.hexadecimal) in \(folder). Both bundles together \
      are \(Quantity.decimal(ratio, fractionDigits: 3)) of one 64-bit copy of the \
      \(Quantity.grouped(result.weightElementCount)) shared weights.

      Leakage report
      \(leakage)
      """
  }

  private var deliveryText: String {
    let signed =
      delivery.key.map {
        "\(Manifest.name) and \(Manifest.dealerName) are signed by \($0.publicKey)."
      }
      ?? "\(Manifest.name) and \(Manifest.dealerName) are not signed (--sign KEY)."
    let sealed =
      delivery.recipients.isEmpty
      ? "The parties' bundles are not sealed (--recipient0 KEY --recipient1 KEY)."
      : "The parties' bundles are sealed: each can be opened with its recipient's key alone."
    return
      "\(signed) \(sealed) \(DealerBundle.fileName) and \(Manifest.dealerName) stay with the dealer."
  }

  public var json: JSON {
    [
      "manifest": result.manifest.json,
      "files": .object(
        Dictionary(uniqueKeysWithValues: byteCounts.map { ($0.name, .integer($0.byteCount)) })),
      "sharedElements": .integer(result.weightElementCount),
      "signedBy": delivery.key.map { .string($0.publicKey.fingerprint) } ?? .null,
      "sealed": .bool(!delivery.recipients.isEmpty),
    ]
  }
}
