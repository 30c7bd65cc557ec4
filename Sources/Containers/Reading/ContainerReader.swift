// Opens a container: everything in it is checked before it is believed.

public import Bytes
import Synchronization

/// An open container. All methods may be called from several threads at once.
///
/// Opening reads the structure and closes it again; data is read with positioned reads and libzstd,
/// or in place through one mapping. The file must not be changed while it is open: a mapped region
/// of a file that someone truncates ends the process.
public final class ContainerReader: Sendable {
  public let path: String
  public let kind: String
  /// The attributes of this kind of file; may hold secrets such as seeds.
  public let header: JSON
  /// SHA-256 over format, version, kind, header and the digest of every dataset: 32 bytes.
  public let digest: [UInt8]
  /// All datasets, by name in byte order.
  public var datasets: [DatasetDescription] { stored.map(\.description) }

  let file: OpenFile
  let stored: [StoredDataset]
  private let places: [String: Int]
  /// The whole file in memory, from the first region on.
  private let mapping = Mutex<MappedFile?>(nil)

  /// Opens `path` and checks its structure and root digest.
  /// - Parameters:
  ///   - kind: the kind that is expected, or nil to accept any.
  ///   - verifying: whether the content of every dataset is compared with its digest, too.
  /// - Throws: `InputError` that names the dataset or attribute and what is wrong with it.
  public convenience init(path: String, kind: String?, verifying: Bool) throws(InputError) {
    try self.init(OpenFile(reading: path), kind: kind, verifying: verifying)
  }

  /// Opens `path` after comparing the whole file with `expected`, so that libhdf5 never sees a byte
  /// that the author of `expected` has not vouched for.
  public convenience init(path: String, kind: String?, expecting expected: FileDigest)
    throws(InputError)
  {
    let file = try OpenFile(reading: path)
    try expected.check(file)
    try self.init(file, kind: kind, verifying: false)
  }

  /// Opens the container in a file without a name, after comparing it with `expected` if given, or
  /// else all its content with the digests in it where `verifying`.
  public convenience init(
    _ anonymous: AnonymousFile, kind: String?, expecting expected: FileDigest?, verifying: Bool
  ) throws(InputError) {
    let file = try OpenFile(anonymous)
    try expected?.check(file)
    try self.init(file, kind: kind, verifying: verifying && expected == nil)
  }

  private init(_ file: OpenFile, kind: String?, verifying: Bool) throws(InputError) {
    let path = file.path
    let content = try ContainerContent(file)
    if let kind, kind != content.kind {
      throw InputError(path, place: "kind", "is a \(content.kind), a \(kind) is expected")
    }
    self.path = path
    self.file = file
    self.kind = content.kind
    self.header = content.header
    self.digest = content.digest
    self.stored = content.datasets
    self.places = Dictionary(
      uniqueKeysWithValues: content.datasets.enumerated().map { ($1.description.name, $0) })
    if verifying { try verify() }
  }

  /// Compares the content of every dataset with its digest, several datasets at a time.
  /// - Throws: `InputError` that names the first dataset, by name, that is damaged.
  public func verify() throws(InputError) {
    // The longest first, so that no thread starts it when the others are done.
    let order = stored.indices.sorted {
      stored[$0].description.byteCount > stored[$1].description.byteCount
    }
    let failures = try ConcurrentTasks.map(order.count) {
      (task) throws(InputError) -> InputError? in
      let dataset = stored[order[task]]
      do throws(InputError) {
        guard try dataset.computeSHA256(from: file) != dataset.sha256 else { return nil }
        return InputError(
          path, place: dataset.description.name, "its content does not match its sha256")
      } catch {
        return error
      }
    }
    if let first = zip(order, failures).filter({ $1 != nil }).min(by: { $0.0 < $1.0 })?.1 {
      throw first
    }
  }

  /// The description of dataset `name`; throws where there is none.
  public func description(of name: String) throws(InputError) -> DatasetDescription {
    try dataset(name).description
  }

  /// Throws `InputError` unless the file holds datasets of these names and no other.
  public func requireExactly(_ names: [String]) throws(InputError) {
    let expected = Set(names)
    for name in names where places[name] == nil {
      throw InputError(path, place: name, "missing dataset")
    }
    if let other = stored.first(where: { !expected.contains($0.description.name) }) {
      throw InputError(path, place: other.description.name, "does not belong into this file")
    }
  }

  /// All elements of a dataset, row-major.
  /// - Parameter shape: the extents that are expected, or nil to accept any.
  /// - Throws: `InputError` where the dataset is missing, has another type or shape, or is damaged.
  public func read<T: ContainerElement>(
    _ name: String, as type: T.Type, shape: [Int]? = nil
  ) throws(InputError) -> [T] {
    let dataset = try dataset(name)
    if let shape, shape != dataset.description.shape {
      throw InputError(
        path, place: name, "has shape \(dataset.description.shape), \(shape) is expected")
    }
    return try elements(of: name, in: 0..<dataset.description.elementCount, as: type)
  }

  /// Elements `range` of a dataset of either storage, counted row-major.
  public func elements<T: ContainerElement>(
    of name: String, in range: Range<Int>, as type: T.Type
  ) throws(InputError) -> [T] {
    let dataset = try dataset(name)
    let bytes = try dataset.description.byteRange(
      of: range, as: T.elementType, source: path)
    var failure: InputError?
    let result = unsafe [T](unsafeUninitializedCapacity: range.count) { buffer, count in
      do throws(InputError) {
        let output = unsafe UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[..<bytes.count])
        try unsafe dataset.read(bytes, from: file, into: output)
        count = range.count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return result
  }

  /// Elements `range` of a u64 dataset, counted row-major.
  public func words(of name: String, range: Range<Int>) throws(InputError) -> [UInt64] {
    try elements(of: name, in: range, as: UInt64.self)
  }

  /// Raw dataset `name` in memory.
  /// - Throws: `InputError` where it is missing or compressed, or the file cannot be mapped.
  public func region(of name: String) throws(InputError) -> MappedRegion {
    let dataset = try dataset(name)
    guard case .raw(let offset) = dataset.location else {
      throw InputError(path, place: name, "is compressed and cannot be mapped")
    }
    let mapped = try mapped()
    guard offset + dataset.description.byteCount <= mapped.byteCount else {
      throw InputError(path, place: name, "the file ends inside it")
    }
    return MappedRegion(dataset.description, in: mapped, at: offset)
  }

  /// Maps all of the file now for the readers of raw datasets: see `MappedFile.populate`.
  public func populate() throws(InputError) { try mapped().populate() }

  private func mapped() throws(InputError) -> MappedFile {
    try mapping.withLock { mapping throws(InputError) -> MappedFile in
      if let mapped = mapping { return mapped }
      let mapped = try file.mapped()
      mapping = mapped
      return mapped
    }
  }

  /// Calls `body` with the mapped bytes of elements `range` (of all where nil) of a raw dataset.
  public func withBytes<R>(
    of name: String, range: Range<Int>? = nil, _ body: (RawSpan) throws(InputError) -> R
  ) throws(InputError) -> R {
    let region = try region(of: name)
    return try region.withBytes(of: range ?? 0..<region.description.elementCount, body)
  }

  private func dataset(_ name: String) throws(InputError) -> StoredDataset {
    guard let place = places[name] else {
      throw InputError(path, place: DatasetDescription.printable(name), "missing dataset")
    }
    return stored[place]
  }
}
