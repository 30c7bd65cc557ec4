// What an interrupted run has finished, for the same run to go on from.

public import Bytes
import Containers
import Foundation
import Glibc
public import Models

/// The finished pieces of a run of `Sparsifier` or `HeadSparsifier`: a folder with a container each,
/// which is there whole or not at all.
///
/// Only the same run, with equal `FitIdentity`, goes on from them.
public final class KeptFits {
  public let path: String
  private let identity: FitIdentity
  private let lock: ProcessLock

  /// What gates decide about.
  public enum Subject: String, Sendable {
    case blocks
    case heads
  }

  /// What a piece holds; its name begins with it, and numbers follow.
  enum Piece: String, CaseIterable {
    case activity
    case gate
    case heads
  }

  /// The pieces in the folder `path`, which is made where it is missing, of a run that fits gates of
  /// `subject` to `model` with these texts and no more memory.
  ///
  /// - Throws: `InputError` where another process uses the folder, where it holds pieces of another
  ///   run, and where a weight cannot be read.
  public init(
    path: String, _ subject: Subject, of model: Model, weights: some WeightSource, texts: [[Int]],
    heldOut: [[Int]], settings: Sparsifier.Settings, memory: MemoryBudget
  ) throws(InputError) {
    self.path = path
    identity = try FitIdentity(
      subject, model: model, weights: weights, texts: texts, heldOut: heldOut, settings: settings,
      memory: memory)
    try Folder.make(path)
    lock = try ProcessLock(
      path, flags: O_RDONLY | O_DIRECTORY, taken: "is in use by another run",
      hint: "wait until it has finished, or give another --out")
    UnfinishedFiles.add(path)
    for name in try KeptFits.names(in: path) { _ = try opened(name, verifying: false) }
  }

  /// The folder goes where it is empty: nothing was finished, or all was.
  deinit {
    unsafe rmdir(path)
    UnfinishedFiles.remove(path)
  }

  /// How many pieces of a kind there are.
  func count(_ piece: Piece) -> Int {
    ((try? KeptFits.names(in: path)) ?? []).count { KeptFits.piece($0) == piece }
  }

  /// What is there: "6 layers are observed, 7 gates are fitted"; nil where nothing is.
  public var summary: String? {
    let parts = Piece.allCases.compactMap { piece -> String? in
      let count = count(piece)
      guard count > 0 else { return nil }
      return switch piece {
      case .activity: "\(Quantity.count(count, "layer is", "layers are")) observed"
      case .gate: "\(Quantity.count(count, "gate is", "gates are")) fitted"
      case .heads: "gates of \(Quantity.count(count, "layer's", "layers'")) heads are fitted"
      }
    }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }

  /// Removes the pieces, which nobody needs any more, and the folder where it holds nothing else.
  public func remove() {
    for name in (try? KeptFits.names(in: path)) ?? [] { unsafe unlink("\(path)/\(name)") }
  }

  /// How many pieces the folder `path` holds, while or after a run: 0 where it is none.
  public static func count(in path: String) -> Int { ((try? names(in: path)) ?? []).count }

  private static func names(in path: String) throws(InputError) -> [String] {
    try Folder.names(in: path).filter { piece($0) != nil }
  }

  /// What the file `name` holds; nil for one that is no piece.
  private static func piece(_ name: String) -> Piece? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count > 1, parts.dropFirst().allSatisfy({ Int($0) != nil }) else { return nil }
    return Piece(rawValue: String(parts[0]))
  }
}

// MARK: Reading and writing pieces

extension KeptFits {
  private static let runKey = "run"
  private static let nameKey = "name"

  /// The piece with these numbers; nil where it is not finished yet.
  ///
  /// `body` gives what it makes of the header's other members and the datasets, or nil where they
  /// are none that this run would have written.
  func read<Result>(
    _ piece: Piece, _ numbers: [Int],
    _ body: (inout JSONReader, ContainerReader) throws(InputError) -> Result?
  ) throws(InputError) -> Result? {
    let name = KeptFits.name(piece, numbers)
    guard FilePaths.exists("\(path)/\(name)") else { return nil }
    do throws(InputError) {
      let (members, reader) = try opened(name, verifying: true)
      var header = members
      guard let result = try body(&header, reader) else {
        throw InputError(reader.path, "is not what this run writes")
      }
      try header.finish()
      return result
    } catch {
      throw KeptFits.damaged(error)
    }
  }

  /// Writes a piece, which is on disk when this returns.
  func write(
    _ piece: Piece, _ numbers: [Int], header: [String: JSON], datasets: [DatasetDescription],
    _ body: (borrowing ContainerWriter) throws(InputError) -> Void
  ) throws(InputError) {
    var members = header
    let name = KeptFits.name(piece, numbers)
    members[KeptFits.runKey] = identity.json
    members[KeptFits.nameKey] = .string(name)
    let writer = try ContainerWriter(
      path: "\(path)/\(name)", kind: piece.rawValue,
      header: .object(members), datasets: datasets)
    try body(writer)
    _ = try writer.finish()
  }

  private static func name(_ piece: Piece, _ numbers: [Int]) -> String {
    ([piece.rawValue] + numbers.map { "\($0)" }).joined(separator: "-")
  }

  /// A piece of this run, and its header without what says so.
  private func opened(_ name: String, verifying: Bool) throws(InputError) -> (
    JSONReader, ContainerReader
  ) {
    let path = "\(path)/\(name)"
    let reader: ContainerReader
    var header: JSONReader
    let run: JSON
    do throws(InputError) {
      reader = try ContainerReader(
        path: path, kind: KeptFits.piece(name)?.rawValue, verifying: verifying)
      header = try JSONReader(reader.header, source: path)
      run = try header.value(KeptFits.runKey)
      let written = try header.string(KeptFits.nameKey)
      guard written == name else { throw InputError(path, "was written as \(written)") }
    } catch {
      throw KeptFits.damaged(error)
    }
    if let difference = identity.difference(from: run) {
      throw InputError(
        self.path, "was begun with another \(difference)",
        hint: "give the command that was interrupted, or remove the folder to begin again")
    }
    return (header, reader)
  }

  private static func damaged(_ error: InputError) -> InputError {
    guard error.systemCode == nil, error.hint.isEmpty else { return error }
    var error = error
    error.hint = "remove this file, and the same command fits again what was in it"
    return error
  }
}
