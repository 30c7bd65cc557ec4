// A GGUF file as its Hugging Face original: configuration, names and layout of the tensors.

import Bytes

/// Tensors under Hugging Face names; what llama.cpp's converter reordered is put back.
struct GGUFModel: TensorSource {
  private struct Place {
    /// In the file, with its shape there.
    var stored: TensorDescription
    /// As the model sees it.
    var tensor: TensorDescription
    var layout: GGUFLayout
  }

  let tensors: [TensorDescription]
  /// What config.json would say.
  let configuration: JSON
  private let file: GGUF
  private let places: [String: Place]

  var path: String { file.path }
  var formatName: String { file.formatName }

  /// - Throws: `InputError` for an architecture that is not mapped, and metadata that are absent or
  ///   not understood.
  init(_ file: GGUF) throws(InputError) {
    let architecture = try GGUFArchitecture(file)
    configuration = try architecture.configuration(file)
    var tensors: [TensorDescription] = []
    var places: [String: Place] = [:]
    for stored in file.tensors {
      for mapped in architecture.map(stored) {
        var tensor = stored
        tensor.name = mapped.name
        tensor.shape = mapped.shape
        let place = Place(stored: stored, tensor: tensor, layout: mapped.layout)
        guard places.updateValue(place, forKey: mapped.name) == nil else {
          throw InputError(
            file.path, place: stored.name,
            offset: file.infoOffsets[stored.name] ?? GGUF.metadataOffset,
            "a second tensor stands for \(mapped.name)")
        }
        tensors.append(tensor)
      }
    }
    self.tensors = tensors.sorted { $0.name < $1.name }
    self.file = file
    self.places = places
  }

  func tensor(_ name: String) throws(InputError) -> TensorDescription {
    guard let place = places[name] else { throw unknownTensor(name) }
    return place.tensor
  }

  func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    guard let place = places[name] else { throw unknownTensor(name) }
    return try place.layout.floats(in: elements, shape: place.stored.shape) {
      (range) throws(InputError) in
      try file.floats(place.stored.name, in: range)
    }
  }

  func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    guard let place = places[name] else { throw unknownTensor(name) }
    guard place.layout == .same else { return nil }
    return try file.storedWords(place.stored.name, in: elements)
  }
}
