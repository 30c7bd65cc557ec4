// Which file of a folder is the checkpoint, decided by content.

import Bytes

/// Looks at the beginning of every file of a folder and takes the preferred one.
struct CheckpointFolder {
  private struct Candidate {
    var name: String
    var format: CheckpointFormat
    /// Place in `fileNames` of the format; later for any other name.
    var rank: Int
    /// An HDF5 file of the layout that is not read, which Lodge's own files have.
    var isNewerHDF5: Bool
  }

  /// Path of the file that is read.
  let path: String
  /// Says what was taken where there was a choice of formats.
  let notice: String?

  /// - Throws: `InputError` where no file is a checkpoint, or several are and none has the usual
  ///   name.
  init(_ folder: String) throws(InputError) {
    let candidates = try CheckpointFolder.candidates(in: folder)
    guard let first = candidates.first else {
      let names = CheckpointFormat.allCases.flatMap(\.fileNames)
      throw InputError(
        folder,
        "holds no checkpoint: none of \(names.joined(separator: ", ")), nor another file of "
          + "their formats")
    }
    let rivals = candidates.filter { $0.format == first.format }
    let isNamed = first.rank < first.format.fileNames.count
    guard isNamed || rivals.count == 1 else {
      throw InputError(
        folder,
        "holds \(rivals.count) \(first.format.rawValue) files: "
          + rivals.prefix(10).map(\.name).joined(separator: ", ")
          + (rivals.count > 10 ? ", and more" : ""),
        hint: "give the path of the one to read, or add the index of the shards")
    }
    path = "\(folder)/\(first.name)"
    let formats = CheckpointFormat.allCases.filter { format in
      candidates.contains { $0.format == format }
    }
    notice =
      formats.count == 1
      ? nil
      : "\(folder) holds \(formats.map(\.rawValue).joined(separator: ", ")) files; "
        + "\(first.name) is read"
  }

  /// Every checkpoint file, the preferred first.
  private static func candidates(in folder: String) throws(InputError) -> [Candidate] {
    var found: [Candidate] = []
    for name in try Folder.names(in: folder) {
      let path = "\(folder)/\(name)"
      let named = CheckpointFormat.allCases.first { $0.fileNames.contains(name) }
      // Folders, pipes and files that may not be read are no candidates unless their name says so.
      guard named != nil || !FilePaths.isFolder(path) else { continue }
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
}
