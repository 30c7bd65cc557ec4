// How many sessions of a batch are left, from the files that are there and the parties' ledgers.

public import Bytes
public import Correlations
import Program
import Sharing

/// The sessions of one batch: which are there, and which the known ledgers have used.
public struct SessionStock: Sendable {
  /// One party's part of it.
  public struct Side: Sendable {
    public let party: Int
    /// True when the party's ledger was given; without it every file counts as ready.
    public let hasLedger: Bool
    /// Files by session number.
    public fileprivate(set) var files: [Int: BatchFolder.Entry] = [:]
    /// Used sessions by number, whether their files are still there or not.
    public fileprivate(set) var states: [Int: SessionLedger.State] = [:]

    /// Sessions whose file is there and unused.
    public var ready: Set<Int> { Set(files.keys).subtracting(states.keys) }
    /// Bytes of the files of ready sessions.
    public var readyByteCount: Int { ready.reduce(0) { $0 + (files[$1]?.byteCount ?? 0) } }

    func count(_ state: SessionLedger.State) -> Int { states.values.count { $0 == state } }
  }

  /// Identifier of the batch in hexadecimal.
  public let batch: String
  /// The parties whose files are in the folder, one or both.
  public let sides: [Side]

  /// Sessions that are ready at every party of `sides` and used by none.
  public var ready: [Int] {
    let used = sides.reduce(into: Set<Int>()) { $0.formUnion($1.states.keys) }
    guard var common = sides.first?.ready else { return [] }
    for side in sides.dropFirst() { common.formIntersection(side.ready) }
    return common.subtracting(used).sorted()
  }

  /// Tokens that the ready sessions can hold, prompts and answers together.
  public var readyTokenCount: Int {
    ready.reduce(0) { sum, session in
      let shape = sides.first?.files[session]?.header.shape
      return sum + (shape.map { $0.promptCapacity + $0.newCapacity } ?? 0)
    }
  }

  /// Bytes of the files of sessions that are ready at every party.
  public var readyByteCount: Int {
    let ready = ready
    return sides.reduce(0) { sum, side in
      sum + ready.reduce(0) { $0 + (side.files[$1]?.byteCount ?? 0) }
    }
  }

  /// The stocks in a folder of `lodge-deal`, or in one party's part of it, batch by batch.
  ///
  /// - Parameter report: Is told of session files that cannot be read; they count as not there.
  /// - Throws: `InputError` for two ledgers of one party.
  public static func stocks(
    in folder: BatchFolder, ledgers: [LedgerSnapshot], report: (InputError) -> Void
  ) throws(InputError) -> [SessionStock] {
    if ledgers.count == 2, ledgers[0].party == ledgers[1].party {
      throw InputError(
        ledgers[1].path, "is a second ledger of party \(ledgers[1].party)",
        hint: "give each party's ledger once")
    }
    let entries = try folder.entries(report: report)
    var batches = Set(entries.map { $0.header.batch.hexadecimal })
    let identifier = try folder.identifier()
    if let identifier { batches.insert(identifier.hexadecimal) }
    // The dealer's folder is for both, even when one has none of its files left there.
    let parties = identifier == nil ? Set(entries.map(\.header.party)).sorted() : [0, 1]
    return batches.sorted().map { batch in
      let sides = parties.map { party in
        let ledger = ledgers.first { $0.party == party }
        var side = Side(party: party, hasLedger: ledger != nil)
        for entry in entries
        where entry.header.batch.hexadecimal == batch && entry.header.party == party {
          side.files[entry.header.session] = entry
        }
        for (key, state) in ledger?.states ?? [:] where key.batch == batch {
          side.states[key.session] = state
        }
        return side
      }
      return SessionStock(batch: batch, sides: sides)
    }
  }

  /// The sessions to deal so that `count` are ready: halves first, then numbers never seen.
  ///
  /// A used number is not dealt again: the parties would refuse it.
  public func sessions(toKeep count: Int) -> [Int] {
    let lacking = count - ready.count
    if lacking <= 0 { return [] }
    let used = sides.reduce(into: Set<Int>()) { $0.formUnion($1.states.keys) }
    let there = sides.reduce(into: Set<Int>()) { $0.formUnion($1.files.keys) }
    let halves = there.subtracting(used).subtracting(ready).sorted().prefix(lacking)
    let next = (there.union(used).max() ?? -1) + 1
    return halves + Array(next..<next + lacking - halves.count)
  }
}
