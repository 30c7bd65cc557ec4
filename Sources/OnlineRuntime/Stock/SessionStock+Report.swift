// The stock of sessions as `lodge-deal status` prints it.

public import Bytes

extension SessionStock: Report {
  /// A table with one row a party, and what is ready at all of them.
  public var document: TextDocument {
    var table = TextTable([
      ("party", .right), ("files", .right), ("ready", .right), ("claimed", .right),
      ("finished", .right), ("burned", .right), ("ready bytes", .right),
    ])
    for side in sides {
      let states = [SessionLedger.State.claimed, .finished, .burned].map {
        side.hasLedger ? "\(side.count($0))" : "-"
      }
      table.addRow(
        ["\(side.party)", "\(side.files.count)", "\(side.ready.count)"] + states
          + [Quantity.text(byteCount: side.readyByteCount)])
    }
    let place = sides.count == 2 ? "at both parties" : "at this party"
    var lines: [TextDocument] = [
      "Batch \(batch)", TextDocument(table),
      """
      Ready \(place): \(Quantity.count(ready.count, "session")), \
      \(Quantity.count(readyTokenCount, "token")), \
      \(Quantity.text(byteCount: readyByteCount))
      """,
    ]
    let unknown = sides.filter { !$0.hasLedger }.map { "--ledger\($0.party)" }
    if !unknown.isEmpty {
      lines.append("Used sessions count as ready without \(unknown.joined(separator: ", ")).")
    }
    return TextDocument(lines, separator: "\n")
  }

  /// The same; states are null for a party whose ledger is not known.
  public var json: JSON {
    [
      "batch": .string(batch), "ready": .integer(ready.count),
      "readyTokens": .integer(readyTokenCount), "readyBytes": .integer(readyByteCount),
      "parties": .array(
        sides.map { side in
          func count(_ state: SessionLedger.State) -> JSON {
            side.hasLedger ? .integer(side.count(state)) : .null
          }
          return [
            "party": .integer(side.party), "files": .integer(side.files.count),
            "ready": .integer(side.ready.count), "claimed": count(.claimed),
            "finished": count(.finished), "burned": count(.burned),
            "readyBytes": .integer(side.readyByteCount),
          ]
        }),
    ]
  }
}
