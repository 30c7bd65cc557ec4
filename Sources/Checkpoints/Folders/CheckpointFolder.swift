// Which file of a folder is the checkpoint, decided by content.

import Bytes
import HDF5Reading

/// Looks at the beginning of every file of a folder and takes the preferred one.
struct CheckpointFolder {
  private struct Candidate {
    var name: String
    var format: CheckpointFormat
    /// Place in `fileNames` of the format; later for any other name.
    var rank: Int
    /// An HDF5 file of the layout that is not read, which Lodge's own files have.
    var isNewerHDF5: Bool

    var isNamed: Bool { rank < format.fileNames.count }
    var isIndex: Bool { name.hasSuffix(ShardedCheckpoint.indexSuffix) }
    var shard: ShardName? { ShardName(name) }
  }

  /// What training scripts write beside a model: no checkpoints, though of their formats.
  private static let trainingNames = ["training_args", "optimizer", "scheduler", "scaler", "rng_"]

  /// Path of the file that is read.
  let path: String
  /// Says what was taken, and what was not, where there was a choice.
  let notices: [String]

  /// - Throws: `InputError` where no file is a checkpoint, or several are and none has the usual
  ///   name, or one in shards contradicts one in a single file.
  init(_ folder: String) throws(InputError) {
    let candidates = CheckpointFolder.withoutShards(
      try CheckpointFolder.candidates(in: folder), in: folder)
    guard let first = candidates.first else {
      if let adapter = AdapterFiles(folder) { throw adapter.isAlone }
      let names = CheckpointFormat.allCases.flatMap(\.fileNames)
      throw InputError(
        folder,
        "holds no checkpoint: none of \(names.joined(separator: ", ")), nor another file of "
          + "their formats")
    }
    let rivals = candidates.filter { $0.format == first.format }
    guard first.isNamed || rivals.count == 1 else {
      throw InputError(
        folder,
        "holds \(rivals.count) \(first.format.rawValue) files: "
          + rivals.prefix(10).map(\.name).joined(separator: ", ")
          + (rivals.count > 10 ? ", and more" : ""),
        hint: "give the path of the one to read")
    }
    if let shard = first.shard, first.format != .gguf {
      throw InputError(
        folder, place: first.name,
        "is shard \(shard.number) of \(shard.count), and there is no index of the shards",
        hint: "add the file that ends with \(ShardedCheckpoint.indexSuffix)")
    }
    path = "\(folder)/\(first.name)"
    if !first.isIndex, let index = rivals.first(where: { $0.isNamed && $0.isIndex }) {
      try RivalCheckpoints.check(single: path, index: "\(folder)/\(index.name)")
    }
    let others = candidates.map(\.name).filter { $0 != first.name }
    notices = others.isEmpty ? [] : [CheckpointFolder.notice(folder, first.name, others)]
  }

  private static func notice(_ folder: String, _ name: String, _ others: [String]) -> String {
    let shown = others.prefix(5).joined(separator: ", ")
    let hidden = others.count > 5 ? " and \(others.count - 5) more" : ""
    return "\(folder): \(name) is read; not \(shown)\(hidden)"
  }

  /// Every checkpoint file, the preferred first.
  private static func candidates(in folder: String) throws(InputError) -> [Candidate] {
    var found: [Candidate] = []
    for name in try Folder.names(in: folder) where name != Checkpoint.gatesFileName {
      let path = "\(folder)/\(name)"
      let named = CheckpointFormat.allCases.first { $0.fileNames.contains(name) }
      // Folders, pipes and files that may not be read are no candidates unless their name says so.
      guard named != nil || !FilePaths.isFolder(path) else { continue }
      guard !AdapterFiles.isAdapter(name), !trainingNames.contains(where: name.hasPrefix) else {
        continue
      }
      let isIndex = name.hasSuffix(ShardedCheckpoint.indexSuffix)
      let content = isIndex ? nil : (try? CheckpointFormat(contentOf: path)) ?? nil
      guard let format = content ?? named else { continue }
      let names = format.fileNames
      found.append(
        Candidate(
          name: name, format: format, rank: names.firstIndex(of: name) ?? names.count,
          isNewerHDF5: named == nil && format == .hdf5 && HDF5Superblock.isNewer(path)))
    }
    // These stand for themselves alone: beside others they are results, not a choice.
    if !found.allSatisfy(\.isNewerHDF5) { found.removeAll(where: \.isNewerHDF5) }
    let order = CheckpointFormat.allCases
    return found.sorted {
      let (left, right) = (
        order.firstIndex(of: $0.format) ?? 0, order.firstIndex(of: $1.format) ?? 0
      )
      return (left, $0.rank, $0.name) < (right, $1.rank, $1.name)
    }
  }

  /// The candidates without shards that an index names, and of shards that no index names the
  /// first of each set.
  private static func withoutShards(_ candidates: [Candidate], in folder: String) -> [Candidate] {
    var named: Set<String> = []
    for index in candidates where index.isIndex {
      // What is wrong with an index is said when it is read.
      let map = (try? ShardedCheckpoint.weightMap("\(folder)/\(index.name)")) ?? [:]
      named.formUnion(map.values)
    }
    var sets: Set<ShardName> = []
    return candidates.filter { candidate in
      guard !named.contains(candidate.name) || candidate.isNamed else { return false }
      guard var set = candidate.shard else { return true }
      set.number = 1
      return sets.insert(set).inserted
    }
  }
}
