// What `lodge-model logits` computes: the plaintext output of a checkpoint for one text.

public import Bytes

public enum PlaintextReference {
  /// Runs the checkpoint on the one token list in a token file.
  ///
  /// - Returns: logits of every position for a decoder, [positions, vocabulary]; the last hidden
  ///   state for an encoder, [positions, width].
  /// - Throws: `InputError` for either file, and for token ids the model cannot take, naming the
  ///   token file.
  public static func output(checkpointPath: String, tokensPath: String) throws(InputError)
    -> FloatMatrix
  {
    let texts = try TokenFile.read(tokensPath)
    guard texts.count == 1, let tokens = texts.first else {
      throw InputError(tokensPath, "holds \(texts.count) token lists, expected one")
    }
    let loaded = try ModelLoader.load(path: checkpointPath)
    do throws(InputError) {
      try loaded.model.check(tokens)
    } catch {
      throw InputError(tokensPath, place: error.place, error.cause)
    }
    return try FloatInterpreter(loaded).run(tokens: tokens)
  }
}

extension FloatMatrix {
  /// The matrix as an array to be written with `NPY.write`.
  public var npyArray: NPYArray { NPYArray(shape: [rowCount, columnCount], values: values) }
}
