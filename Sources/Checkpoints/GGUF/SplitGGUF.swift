// GGUF models in several files (llama.cpp's gguf-split): the keys split.* and the names tell how.

import Bytes

/// Opens a GGUF file, and with it the other parts of the same model.
enum SplitGGUF {
  private static let numberKey = "split.no"
  private static let countKey = "split.count"
  private static let tensorCountKey = "split.tensors.count"
  static let maximumPartCount = 1 << 12

  /// The file at `path`, or all files of the model that it is a part of, settings first.
  /// - Throws: one `InputError` with every part that is absent, malformed or of another model.
  static func open(_ path: String) throws(InputError) -> GGUF {
    let file = try GGUF(path: path)
    let count = try integer(countKey, of: file, in: 0...maximumPartCount) ?? 0
    guard count > 1 else { return file }
    let number = try integer(numberKey, of: file, in: 0...count - 1) ?? 0
    guard var name = ShardName(FilePaths.lastComponent(of: path)), name.number == number + 1,
      name.count == count
    else {
      throw failure(
        countKey, of: file,
        "the file is part \(number + 1) of \(count), and its name does not end as such names do: "
          + "the other parts cannot be found",
        hint: "name the parts NAME-00001-of-00002.gguf and so on, or join them with "
          + "'llama-gguf-split --merge'")
    }
    var problems = ProblemList()
    var parts: [GGUF] = []
    var owners: [String: String] = [:]
    for index in 0..<count {
      name.number = index + 1
      let partPath = "\(FilePaths.folder(of: path))/\(name.text)"
      guard FilePaths.exists(partPath) else {
        problems.add("part \(index + 1) of \(count), \(name.text), is missing")
        continue
      }
      do throws(InputError) {
        let part = index == number ? file : try GGUF(path: partPath)
        guard try integer(countKey, of: part, in: 0...maximumPartCount) == count,
          try integer(numberKey, of: part, in: 0...count - 1) == index
        else {
          problems.add("\(name.text) is not part \(index + 1) of \(count) by its own settings")
          continue
        }
        for tensor in part.tensors {
          if let first = owners.updateValue(name.text, forKey: tensor.name) {
            problems.add(tensor.name, " is in \(first) and in \(name.text)")
          }
        }
        parts.append(part)
      } catch {
        let place = error.place.isEmpty ? "" : "\(error.place): "
        problems.add("part \(index + 1), \(name.text), cannot be read: \(place)\(error.cause)")
      }
    }
    try problems.check(source: path, hint: "put all \(count) parts of the model into one folder")
    let result = parts[0].joined(with: Array(parts.dropFirst()))
    let stated = try integer(tensorCountKey, of: parts[0], in: 0...Int.max)
    if let stated, stated != result.tensors.count {
      throw failure(
        tensorCountKey, of: parts[0],
        "the parts hold \(result.tensors.count) tensors, \(stated) are expected")
    }
    return result
  }

  private static func failure(
    _ key: String, of file: GGUF, _ cause: String, hint: String = ""
  ) -> InputError {
    InputError(
      file.path, place: key, offset: file.keyOffsets[key] ?? GGUF.metadataOffset, cause, hint: hint)
  }

  private static func integer(_ key: String, of file: GGUF, in range: ClosedRange<Int>)
    throws(InputError) -> Int?
  {
    guard let value = file.metadata[key] else { return nil }
    guard case .integer(let integer) = value, range.contains(integer) else {
      throw failure(
        key, of: file, "is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return integer
  }
}
