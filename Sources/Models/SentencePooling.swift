// How sentence-transformers makes one embedding of a text: modules.json beside the weights.

import Bytes
import Checkpoints

/// Rows of a text made one, and maybe brought to length one.
struct SentencePooling: Equatable, Sendable {
  var rows: RowPooling
  var hasUnitLength: Bool

  static let fileName = "modules.json"

  init(rows: RowPooling, hasUnitLength: Bool) {
    self.rows = rows
    self.hasUnitLength = hasUnitLength
  }

  /// What `modules.json` in `folder` says; nil where there is none, or no pooling in it.
  /// - Throws: `InputError` for modules and ways of pooling that are not implemented.
  init?(folder: String) throws(InputError) {
    let path = "\(folder)/\(SentencePooling.fileName)"
    guard FilePaths.exists(path) else { return nil }
    guard case .array(let modules) = try JSON.read(path) else {
      throw InputError(path, "expected an array of modules")
    }
    var rows: RowPooling?
    var hasUnitLength = false
    for (index, value) in modules.enumerated() {
      var module = try JSONReader(value, source: path, place: "[\(index)]")
      let type = try module.string("type")
      switch type.split(separator: ".").last {
      case "Transformer": break
      case "Pooling":
        let part = try module.string("path")
        guard rows == nil, part.split(separator: "/").allSatisfy({ $0 != ".." }) else {
          throw module.failure("path", "\"\(part)\" is not a module of its own in this folder")
        }
        rows = try SentencePooling.rows("\(folder)/\(part)/config.json")
      case "Normalize" where rows != nil: hasUnitLength = true
      default:
        throw module.failure(
          "type",
          "\(JSON.string(type).text) is not implemented, only Transformer, Pooling and then "
            + "Normalize are")
      }
    }
    guard let rows else { return nil }
    self.init(rows: rows, hasUnitLength: hasUnitLength)
  }

  /// The one way of pooling of a module, as older files say it by switches and newer by name.
  private static func rows(_ path: String) throws(InputError) -> RowPooling {
    var reader = try JSONReader(JSON.read(path), source: path)
    var modes: [String] = []
    if case .string(let mode)? = reader.optional("pooling_mode") { modes.append(mode) }
    for name in ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
      + ["weightedmean_tokens", "lasttoken"]
    where reader.optional("pooling_mode_\(name)") == true { modes.append(name) }
    guard modes.count == 1, let mode = modes.first else {
      throw reader.failure(
        "pooling_mode", "\(modes.count) ways of pooling together are not implemented")
    }
    switch mode {
    case "cls", "cls_token": return .first
    case "mean", "mean_tokens": return .mean
    default:
      throw reader.failure(
        "pooling_mode", "\(JSON.string(mode).text) is not implemented, only cls and mean are")
    }
  }
}
