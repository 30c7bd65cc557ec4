// Writes a container: declare all datasets, fill them from any thread, finish.

public import Bytes

/// A container under construction; nothing appears at `path` before `finish` has succeeded.
///
///     let writer = try ContainerWriter(
///       path: "model.lodge", kind: "model", header: ["layers": 4],
///       datasets: [DatasetDescription(name: "scale", elementType: .f64, shape: [4])])
///     try writer.write("scale", values: [1.0, 0.5, 0.25, 0.125])
///     let digest = try writer.finish()
///
/// All methods may be called from several threads. A name that was not declared, another element
/// type and another number of values than declared are misuse and trap.
public struct ContainerWriter: ~Copyable, Sendable {
  let kind: String
  let headerText: String
  let datasets: [DatasetDescription]
  private let places: [String: Int]
  /// First byte of each raw dataset in the file; 0 for zstd.
  let offsets: [Int]
  let temporary: TemporaryFile
  let output: HDF5Output
  let progress: FillProgress

  /// Creates a temporary file beside `path` and reserves the disk space of all raw datasets.
  /// - Parameters:
  ///   - kind: a lower-case word, such as "model", that a reader must ask for.
  ///   - header: the attributes of this kind of file, at most 64 MiB of canonical text.
  /// - Throws: `InputError` where a name or shape is not allowed, the file cannot be created, or
  ///   the disk has not enough space.
  public init(
    path: String, kind: String, header: JSON, datasets: [DatasetDescription]
  ) throws(InputError) {
    try self.init(
      TemporaryFile(for: path), path: path, kind: kind, header: header, datasets: datasets)
  }

  /// The same in a file without a name, which holds the container once `finish` has succeeded.
  public init(
    _ file: AnonymousFile, kind: String, header: JSON, datasets: [DatasetDescription]
  ) throws(InputError) {
    try file.check(
      byteCount: datasets.reduce(0) { $0 + ($1.storage == .raw ? $1.byteCount : 0) })
    try self.init(
      TemporaryFile(file), path: file.name, kind: kind, header: header, datasets: datasets)
  }

  private init(
    _ temporary: TemporaryFile, path: String, kind: String, header: JSON,
    datasets: [DatasetDescription]
  ) throws(InputError) {
    precondition(ContainerFormat.isKind(kind), "\(kind) is not the kind of a container")
    let headerText = header.text
    guard headerText.utf8.count <= ContainerFormat.maximumHeaderByteCount else {
      throw InputError(path, place: "header", "\(headerText.utf8.count) bytes are beyond 2^26")
    }
    try DatasetDescription.validate(datasets, source: path)
    let (output, offsets) = try HDF5Output.create(
      temporary, kind: kind, headerText: headerText, datasets: datasets)
    let end = zip(datasets, offsets).map { $0.storage == .raw ? $1 + $0.byteCount : 0 }.max()
    try temporary.file.reserve(byteCount: end ?? 0)
    self.kind = kind
    self.headerText = headerText
    self.datasets = datasets
    self.places = Dictionary(
      uniqueKeysWithValues: datasets.enumerated().map { ($1.name, $0) })
    self.offsets = offsets
    self.temporary = temporary
    self.output = output
    self.progress = FillProgress(datasetCount: datasets.count)
  }

  /// Writes all elements of a dataset, row-major.
  public func write<T: ContainerElement>(_ name: String, values: [T]) throws(InputError) {
    try write(name, values: values.span)
  }

  /// Writes all elements of a dataset, row-major.
  public func write<T: ContainerElement>(_ name: String, values: Span<T>) throws(InputError) {
    let index = place(of: name)
    let description = datasets[index]
    precondition(
      T.elementType == description.elementType && values.count == description.elementCount,
      "values do not fit dataset \(name)")
    switch description.storage {
    case .raw: try region(of: name).write(values, atElement: 0)
    case .zstd:
      try unsafe values.bytes.withUnsafeBytes { (bytes) throws(InputError) in
        try progress.writing { () throws(InputError) in
          let digest = try unsafe compress(bytes, description)
          progress.add(0..<bytes.count, to: index, digest: digest)
        }
      }
    }
  }

  /// The handle for filling a raw dataset piece by piece; traps where it is stored as zstd.
  public func region(of name: String) -> RawRegion {
    let index = place(of: name)
    precondition(datasets[index].storage == .raw, "dataset \(name) is not stored raw")
    return RawRegion(
      description: datasets[index], file: temporary.file, progress: progress, index: index,
      offset: offsets[index])
  }

  /// Calls `body` with the mapped bytes of `elements` (of all where nil) of a raw dataset.
  public func withMutableBytes<R>(
    of name: String, elements: Range<Int>? = nil,
    _ body: (inout MutableRawSpan) throws(InputError) -> R
  ) throws(InputError) -> R {
    try region(of: name).withMutableBytes(of: elements, body)
  }

  private func place(of name: String) -> Int {
    guard let place = places[name] else { preconditionFailure("no dataset \(name) was declared") }
    return place
  }
}
