// Random bytes that make the digests of a file say nothing of what else is in it.

import Bytes
import Containers
import Randomness

/// The dataset that containers have whose other content could be guessed.
///
/// Digests are seen by more people than files. Without a salt, whoever suspects what is in a file,
/// such as the weights of a known model, could compute its digest and find out.
enum Salt {
  static let name = "salt"
  static let dataset = DatasetDescription(
    name: name, elementType: .u8, shape: [Seed.byteCount], storage: .raw)

  static func write(to writer: borrowing ContainerWriter) throws(InputError) {
    try writer.write(name, values: Seed.random().bytes)
  }

  /// Throws where the salt of a file has another type or shape; that it is there was checked.
  static func check(_ reader: ContainerReader) throws(InputError) {
    guard try reader.description(of: name) == dataset else {
      throw InputError(reader.path, place: name, "expected \(Seed.byteCount) u8")
    }
  }
}
