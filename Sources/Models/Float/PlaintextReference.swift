// What `lodge-model logits` computes: the plaintext output of a checkpoint for one text.

public import Bytes

public enum PlaintextReference {
  /// Runs the checkpoint on the one token list in a token file.
  ///
  /// - Parameters:
  ///   - adapterPath: folder of a LoRA adapter that is merged into the weights.
  ///   - output: what the output is to be, as `ModelLoader.load` takes it.
  ///   - noted: is told the checkpoint.
  /// - Returns: the output's rows, [positions, width], or [1, width] where positions are pooled.
  /// - Throws: `InputError` for either file, and for token ids the model cannot take, naming the
  ///   token file.
  public static func output(
    checkpointPath: String, adapterPath: String? = nil, gatesPath: String? = nil,
    tokensPath: String,
    output: ModelOutput? = nil, noted: (LoadedModel) -> Void = { _ in }
  ) throws(InputError) -> FloatMatrix {
    let text = try Text(
      checkpointPath: checkpointPath, adapterPath: adapterPath, gatesPath: gatesPath,
      tokensPath: tokensPath,
      output: output)
    noted(text.loaded)
    return try FloatInterpreter(text.loaded).run(tokens: text.tokens)
  }

  /// Continues the one token list in a token file greedily by `newCount` tokens, or up to the first
  /// of `stop`.
  ///
  /// - Returns: the new tokens, and the logits that each of them was chosen from,
  ///   [tokens, vocabulary].
  /// - Throws: as `output`; also for an encoder, and where the model has too few positions.
  public static func continuation(
    checkpointPath: String, adapterPath: String? = nil, gatesPath: String? = nil,
    tokensPath: String, newCount: Int,
    stop: Set<Int> = [], noted: (LoadedModel) -> Void = { _ in }, chosen: (Int) -> Void = { _ in }
  ) throws(InputError) -> (tokens: [Int], logits: FloatMatrix) {
    precondition(newCount > 0, "a continuation has at least one token")
    let text = try Text(
      checkpointPath: checkpointPath, adapterPath: adapterPath, gatesPath: gatesPath,
      tokensPath: tokensPath)
    noted(text.loaded)
    let model = text.loaded.model
    guard model.kind.isDecoder else {
      throw InputError(checkpointPath, "is an encoder, which has no continuation")
    }
    try StopTokens.check(stop, vocabularySize: model.vocabularySize)
    guard text.tokens.count + newCount - 1 <= model.maximumPositions else {
      throw InputError(
        tokensPath,
        "\(text.tokens.count) tokens and \(newCount) new ones are too long, "
          + "the model has positions for \(model.maximumPositions)")
    }
    let interpreter = try FloatInterpreter(text.loaded)
    var all = text.tokens
    var values: [Float] = []
    for _ in 0..<newCount {
      let output = try interpreter.run(tokens: all)
      let row = output.row(output.rowCount - 1)
      values += row
      let token = row.indices.max { row[$0] < row[$1] }.map { $0 - row.startIndex } ?? 0
      all.append(token)
      chosen(token)
      if stop.contains(token) { break }
    }
    let count = all.count - text.tokens.count
    return (
      Array(all.suffix(count)),
      FloatMatrix(rowCount: count, columnCount: values.count / count, values: values)
    )
  }

  /// A checkpoint with a text that it takes.
  private struct Text {
    let loaded: LoadedModel
    let tokens: [Int]

    init(
      checkpointPath: String, adapterPath: String?, gatesPath: String?, tokensPath: String,
      output: ModelOutput? = nil
    ) throws(InputError) {
      let texts = try TokenFile.read(tokensPath)
      guard texts.count == 1, let tokens = texts.first else {
        throw InputError(tokensPath, "holds \(texts.count) token lists, expected one")
      }
      var loaded = try ModelLoader.load(
        path: checkpointPath, adapter: adapterPath, gates: gatesPath, output: output)
      let (kept, notice) = try loaded.model.withoutPadding([tokens], source: tokensPath)
      self.tokens = kept[0]
      loaded.notices += [notice].compactMap { $0 }
      self.loaded = loaded
      do throws(InputError) {
        try loaded.model.check(kept[0])
      } catch {
        throw InputError(tokensPath, place: error.place, error.cause)
      }
    }
  }
}

extension FloatMatrix {
  /// The matrix as an array to be written with `NPY.write`.
  public var npyArray: NPYArray { NPYArray(shape: [rowCount, columnCount], values: values) }
}
