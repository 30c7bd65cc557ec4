// The files of a peft adapter: a small update of a model's weights, stored apart from them.

import Bytes

/// An adapter's folder as its file names show it.
package struct AdapterFiles {
  package static let configurationFileName = "adapter_config.json"
  /// Names of the weights, the best first.
  package static let weightNames = ["adapter_model.safetensors", "adapter_model.bin"]

  let folder: String
  /// What adapter_config.json says of the model that the adapter is made for.
  let base: String?
  /// Such as "LORA".
  let kind: String?

  /// Whether a file of this name belongs to an adapter.
  static func isAdapter(_ name: String) -> Bool {
    name == configurationFileName || weightNames.contains(name)
  }

  /// The adapter in `folder`; nil where there is none.
  init?(_ folder: String) {
    let names = [AdapterFiles.configurationFileName] + AdapterFiles.weightNames
    guard names.contains(where: { FilePaths.exists("\(folder)/\($0)") }) else { return nil }
    self.folder = folder
    // What is wrong with the settings matters where the adapter is merged.
    let settings = try? JSON.read(
      "\(folder)/\(AdapterFiles.configurationFileName)",
      valueLimit: JSON.maximumUntrustedValueCount, dialect: .python)
    guard case .object(let members)? = settings else {
      (base, kind) = (nil, nil)
      return
    }
    func text(_ key: String) -> String? {
      guard case .string(let text)? = members[key], !text.isEmpty else { return nil }
      return text
    }
    base = text("base_model_name_or_path")
    kind = text("peft_type")
  }

  private var description: String { "an adapter\(kind.map { " (\($0))" } ?? "")" }

  /// What to say where the adapter lies beside a model that is read without it.
  var notice: String {
    "\(folder) holds \(description) beside the model, which is not applied; --adapter FOLDER "
      + "merges a LoRA adapter"
  }

  /// The error where the adapter is all that there is.
  var isAlone: InputError {
    InputError(
      folder,
      "holds \(description) and no model"
        + (base.map { ": its base is \"\($0)\"" } ?? ""),
      hint: "give the folder of its base with '--adapter \(folder)', or merge them first, as "
        + "merge_and_unload of peft does")
  }
}
