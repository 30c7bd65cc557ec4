// A checkpoint in one file beside one in shards: whether they can be the same model.

import Bytes

/// Compares headers; the single file is what readers of these formats take.
enum RivalCheckpoints {
  /// - Throws: `InputError` where the index is newer than the single file, or names tensors or
  ///   shapes that the single file does not have.
  static func check(single: String, index: String) throws(InputError) {
    let (name, indexName) = (
      FilePaths.lastComponent(of: single), FilePaths.lastComponent(of: index)
    )
    func failure(_ cause: String) -> InputError {
      InputError(
        FilePaths.folder(of: single), place: "\(name) and \(indexName)", cause,
        hint: "remove the checkpoint that is out of date, or give the path of the one to read")
    }
    guard try !FilePaths.isNewer(index, than: single) else {
      throw failure("are two checkpoints, and the one in shards is the newer")
    }
    // A broken index names no checkpoint.
    guard let map = try? ShardedCheckpoint.weightMap(index) else { return }
    let source = try Checkpoint.openTensors(single)
    let shapes = Dictionary(
      source.tensors.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    if let only = Set(map.keys).symmetricDifference(shapes.keys).min() {
      throw failure("are two checkpoints: only \(map[only] == nil ? name : indexName) has \(only)")
    }
    for shard in Set(map.values).sorted() {
      // Shards that are absent or broken are not read anyway.
      guard let part = try? Checkpoint.openTensors("\(FilePaths.folder(of: index))/\(shard)") else {
        continue
      }
      for tensor in part.tensors {
        if let shape = shapes[tensor.name], shape != tensor.shape {
          throw failure(
            "are two checkpoints: \(tensor.name) is \(shape) in \(name) and \(tensor.shape) in "
              + shard)
        }
      }
    }
  }
}
