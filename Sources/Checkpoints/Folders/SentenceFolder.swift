// Folders of sentence-transformers, of which older ones have the model in a folder inside.

import Bytes

package enum SentenceFolder {
  package static let modulesFileName = "modules.json"

  /// Name of the folder inside `folder` that holds the model, as the first of its modules says;
  /// nil where it is `folder` itself, or nothing can be read.
  package static func transformerName(in folder: String) -> String? {
    let modules = try? JSON.read(
      "\(folder)/\(modulesFileName)", valueLimit: JSON.maximumUntrustedValueCount)
    guard case .array(let elements)? = modules, case .object(let first)? = elements.first,
      case .string(let name)? = first["path"], !name.isEmpty, !name.contains("/"), name != "..",
      FilePaths.exists("\(folder)/\(name)/\(Checkpoint.configurationFileName)")
    else { return nil }
    return name
  }

  /// `folder`, or the folder inside that holds the model.
  static func model(_ folder: String) -> String {
    guard !FilePaths.exists("\(folder)/\(Checkpoint.configurationFileName)"),
      let name = transformerName(in: folder)
    else { return folder }
    return "\(folder)/\(name)"
  }
}
