// Checkpoints in several files with an index: model.safetensors.index.json and PyTorch's alike.

public import Bytes

/// The tensors of all shards as one; every fault of the index or the shards is told in one error.
public struct ShardedCheckpoint: TensorSource {
  static let maximumIndexByteCount = 16 << 20
  static let indexSuffix = ".index.json"

  public let path: String
  public let formatName: String
  public let tensors: [TensorDescription]
  private let shards: [any TensorSource]
  public let aliases: [String: String]
  public let notices: [String]
  /// Index of the shard that holds a tensor.
  private let places: [String: Int]

  /// Opens the index at `path` and the shards beside it that it names; reads headers only.
  ///
  /// Tensors that a shard has and the index does not name are read as well, as other readers do.
  /// - Throws: one `InputError` with every absent or malformed shard, every tensor that is not
  ///   where the index says, and every tensor that two shards hold.
  public init(path: String) throws(InputError) {
    let map = try ShardedCheckpoint.weightMap(path)
    let folder = FilePaths.folder(of: path)
    var problems = ProblemList()
    var shards: [any TensorSource] = []
    var shardNames: [String] = []
    var refused: Set<String> = []
    var hint = ""
    for name in Set(map.values).sorted() {
      do throws(InputError) {
        shards.append(try ShardedCheckpoint.openShard(name, in: folder))
        shardNames.append(name)
      } catch {
        refused.insert(name)
        if hint.isEmpty { hint = error.hint }
        let place = error.place.isEmpty ? "" : "\(error.place): "
        problems.add(name, ": \(place)\(error.cause)")
      }
    }
    var places: [String: Int] = [:]
    var tensors: [TensorDescription] = []
    for (index, shard) in shards.enumerated() {
      for tensor in shard.tensors {
        if let first = places[tensor.name] {
          problems.add(
            tensor.name, " is in both \(shardNames[first]) and \(shardNames[index])")
        } else {
          places[tensor.name] = index
          tensors.append(tensor)
        }
      }
    }
    for (name, shard) in map.sorted(by: { $0.key < $1.key }) where !refused.contains(shard) {
      guard let place = places[name] else {
        problems.add(name, " is missing from \(shard)")
        continue
      }
      if shardNames[place] != shard {
        problems.add(name, " is in \(shardNames[place]), the index says \(shard)")
      }
    }
    let formats = Set(shards.map(\.formatName)).sorted()
    if formats.count > 1 {
      problems.add("the shards are of different formats: \(formats.joined(separator: ", "))")
    }
    try problems.check(source: path, hint: hint)
    self.path = path
    formatName = "\(formats.first ?? ""), \(shards.count) \(shards.count == 1 ? "shard" : "shards")"
    self.tensors = tensors.sorted { $0.name < $1.name }
    self.shards = shards
    self.places = places
    aliases = shards.reduce(into: [:]) {
      $0.merge($1.aliases, uniquingKeysWith: { first, _ in first })
    }
    notices = shards.flatMap(\.notices)
  }

  public func tensor(_ name: String) throws(InputError) -> TensorDescription {
    guard let place = places[name] else { throw unknownTensor(name) }
    return try shards[place].tensor(name)
  }

  public func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    guard let place = places[name] else { throw unknownTensor(name) }
    return try shards[place].floats(name, in: elements)
  }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    guard let place = places[name] else { throw unknownTensor(name) }
    return try shards[place].storedWords(name, in: elements)
  }

  /// Shard names by tensor.
  static func weightMap(_ path: String) throws(InputError) -> [String: String] {
    let file = try MappedFile(path: path)
    let value = try JSON.parse(
      try file.allBytes(atMost: maximumIndexByteCount), source: path,
      valueLimit: JSON.maximumUntrustedValueCount, dialect: .python)
    var reader = try JSONReader(value, source: path)
    guard case .object(let members) = try reader.value("weight_map") else {
      throw reader.failure("weight_map", "expected an object of tensors and their files")
    }
    guard !members.isEmpty else { throw reader.failure("weight_map", "names no tensor") }
    var map: [String: String] = [:]
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      guard case .string(let shard) = value else {
        throw InputError(path, place: "weight_map.\(name)", "expected the name of a file")
      }
      // A name that leaves the folder would make the index a way to read any file.
      guard !shard.isEmpty, !shard.utf8.contains(UInt8(ascii: "/")), shard != ".", shard != "..",
        !shard.utf8.contains(0)
      else {
        throw InputError(
          path, place: "weight_map.\(name)",
          "\"\(shard)\" is not the name of a file in the same folder")
      }
      map[name] = shard
    }
    return map
  }

  private static func openShard(_ name: String, in folder: String) throws(InputError)
    -> any TensorSource
  {
    let path = "\(folder)/\(name)"
    guard FilePaths.exists(path) else { throw InputError(path, "the shard is missing") }
    guard let format = try CheckpointFormat.of(path),
      format == .safetensors || format == .pyTorch
    else { throw InputError(path, "is neither a safetensors nor a PyTorch file") }
    return try format.open(path)
  }
}
