// PyTorch's zip checkpoints: a pickle of tensor views, and one stored entry for each storage.

public import Bytes
import Synchronization

/// A memory-mapped PyTorch archive; its pickle is interpreted, never executed.
public final class PyTorchCheckpoint: TensorSource {
  /// What files of torch.save before version 1.6 begin with: a pickled magic number.
  static let legacySignature: [UInt8] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
  ]
  private static let pickleName = "/data.pkl"

  private struct Place {
    var view: PickleTensor
    var entry: ZipArchive.Entry
  }

  public let tensors: [TensorDescription]
  public let notices: [String]
  private let archive: ZipArchive
  private let indices: [String: Int]
  private let places: [Place]
  /// Header offsets of the entries whose checksum was found right.
  private let verified = Mutex<Set<Int>>([])

  public var path: String { archive.file.path }
  public var formatName: String { "PyTorch" }

  /// Maps the archive, checks its structure and interprets its pickle; weights are not touched.
  /// - Throws: `InputError` naming the byte, the opcode, the global or the tensor at fault.
  public init(path: String) throws(InputError) {
    let file = try MappedFile(path: path)
    let head = try file.bytes(in: 0..<min(file.byteCount, PyTorchCheckpoint.legacySignature.count))
    guard head != PyTorchCheckpoint.legacySignature else {
      throw InputError(
        path, offset: 0, "is in the format of PyTorch before 1.6, which is not read",
        hint: "load it with torch.load(path, weights_only=True) in a current PyTorch and save it "
          + "again with torch.save, or as safetensors")
    }
    let archive = try ZipArchive(file)
    let pickles = archive.entries.filter {
      $0.name.hasSuffix(PyTorchCheckpoint.pickleName)
        && $0.name.utf8.count { $0 == UInt8(ascii: "/") } == 1
    }
    guard let pickle = pickles.first, pickles.count == 1 else {
      throw InputError(
        path, offset: pickles.dropFirst().first?.headerOffset ?? archive.directoryOffset,
        "is a zip archive with \(pickles.count) entries data.pkl, a PyTorch file has one")
    }
    let prefix = pickle.name.dropLast(PyTorchCheckpoint.pickleName.count)
    let entries = Dictionary(
      archive.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    if let order = entries["\(prefix)/byteorder"] {
      try archive.verify(order)
      let text = try file.bytes(in: order.byteRange.prefix(16))
      guard text == Array("little".utf8) else {
        throw InputError(
          path, offset: order.byteRange.lowerBound, "the byte order is not \"little\"")
      }
    }
    try archive.verify(pickle)
    let unpickler = try Unpickler(file, in: pickle.byteRange)
    let dictionary = try StateDictionary(unpickler, path: path)

    var problems = ProblemList()
    var tensors: [TensorDescription] = []
    var places: [Place] = []
    for (name, view) in dictionary.tensors.sorted(by: { $0.key < $1.key }) {
      let storage = unpickler.storages[view.storage]
      guard let entry = entries["\(prefix)/data/\(storage.key)"] else {
        problems.add(
          name, ": byte \(view.start): the archive has no entry \(prefix)/data/\(storage.key)")
        continue
      }
      guard storage.type.byteCount(ofElements: storage.elementCount) == entry.byteRange.count,
        let span = view.span
      else {
        problems.add(
          name,
          ": byte \(entry.byteRange.lowerBound): storage \(storage.key) has "
            + "\(entry.byteRange.count) bytes, \(storage.elementCount) elements of "
            + "\(storage.type.rawValue) are expected")
        continue
      }
      let size = storage.type.byteCount
      // A view may repeat elements; what it unfolds to must be in proportion to the file.
      let elements = TensorDescription.elementCount(view.shape)
      guard let byteCount = elements.flatMap(storage.type.byteCount(ofElements:)),
        byteCount <= entry.byteRange.count
          || byteCount <= AllocationLimit.repeatedByteCount(fileByteCount: file.byteCount)
      else {
        problems.add(
          name,
          ": byte \(view.start): shape \(view.shape) repeats elements beyond the size of "
            + "the file")
        continue
      }
      let start = entry.byteRange.lowerBound
      tensors.append(
        TensorDescription(
          name: name, shape: view.shape, type: storage.type,
          byteRange: start + span.lowerBound * size..<start + span.upperBound * size))
      places.append(Place(view: view, entry: entry))
    }
    try problems.check(source: path)
    notices = [dictionary.notice].compactMap { $0 }
    self.archive = archive
    self.tensors = tensors
    self.places = places
    indices = Dictionary(
      uniqueKeysWithValues: tensors.enumerated().map { ($0.element.name, $0.offset) })
  }

  public func tensor(_ name: String) throws(InputError) -> TensorDescription {
    guard let index = indices[name] else { throw unknownTensor(name) }
    return tensors[index]
  }

  /// As `TensorSource` says; the checksum of a storage is compared when it is first read.
  public func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    guard let index = indices[name] else { throw unknownTensor(name) }
    let (tensor, place) = (tensors[index], places[index])
    guard tensor.type.isReadableAsFloat else { return try checked(nil, of: tensor, from: 0) }
    try verify(place.entry)
    guard !place.view.isContiguous, !elements.isEmpty else {
      return try floats(of: tensor, in: elements, from: archive.file)
    }
    let gathered = archive.file.withBytes { bytes in
      StridedView.gather(
        bytes.extracting(tensor.byteRange), elements, shape: tensor.shape,
        strides: place.view.strides, elementByteCount: tensor.type.byteCount)
    }
    archive.file.release(tensor.byteRange)
    return try converted(gathered, as: tensor, from: elements.lowerBound)
  }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    guard let index = indices[name] else { throw unknownTensor(name) }
    guard places[index].view.isContiguous else { return nil }
    try verify(places[index].entry)
    return try storedWords(of: tensors[index], in: elements, from: archive.file)
  }

  private func verify(_ entry: ZipArchive.Entry) throws(InputError) {
    guard !verified.withLock({ $0.contains(entry.headerOffset) }) else { return }
    try archive.verify(entry)
    verified.withLock { _ = $0.insert(entry.headerOffset) }
  }
}
