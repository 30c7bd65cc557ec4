// Text to token ids and back, exactly as the model's own tokenizer does it.

public import Bytes

/// A tokenizer read from `tokenizer.json`, or from `vocab.txt`.
///
/// Gives the ids that Hugging Face's `tokenizers` gives for the same file, or refuses the file: an
/// approximation would feed a model other text than it was asked. Truncation and padding that the
/// file asks for are left out.
public struct Tokenizer: Sendable {
  enum Model: Sendable {
    case bytePairs(BytePairModel)
    case wordPieces(WordPieceModel)
    case words(WordLevelModel)
    case unigram(UnigramModel)

    var vocabulary: TokenTable {
      switch self {
      case .bytePairs(let model): model.vocabulary
      case .wordPieces(let model): model.vocabulary
      case .words(let model): model.vocabulary
      case .unigram(let model): model.vocabulary
      }
    }

    func encode(_ piece: Scalars) throws(InputError) -> [Int] {
      switch self {
      case .bytePairs(let model): model.encode(piece)
      case .wordPieces(let model): model.encode(piece)
      case .words(let model): model.encode(piece)
      case .unigram(let model): try model.encode(piece)
      }
    }
  }

  let model: Model
  let normalizer: Normalizer?
  let preTokenizer: PreTokenizer?
  let decoder: TokenDecoder?
  let addedTokens: [Int: AddedToken]
  /// Added tokens that are found before normalisation, and those found after.
  private let plainFinder: AddedTokenFinder
  private let normalizedFinder: AddedTokenFinder
  /// Ids that are put before a text and after it.
  let prefix: [Int]
  let suffix: [Int]
  /// The file that was read.
  public let path: String

  init(
    model: Model, normalizer: Normalizer?, preTokenizer: PreTokenizer?, decoder: TokenDecoder?,
    addedTokens: [AddedToken], prefix: [Int], suffix: [Int], path: String
  ) throws(InputError) {
    self.model = model
    self.normalizer = normalizer
    self.preTokenizer = preTokenizer
    self.decoder = decoder
    self.addedTokens = Dictionary(addedTokens.map { ($0.id, $0) }) { $1 }
    self.prefix = prefix
    self.suffix = suffix
    self.path = path
    let plain = addedTokens.filter { !$0.isNormalized }
    plainFinder = AddedTokenFinder(plain, texts: plain.map { Scalars($0.content) })
    let normalized = addedTokens.filter(\.isNormalized)
    var texts: [Scalars] = []
    for token in normalized {
      let text = Scalars(token.content)
      texts.append(try normalizer?.apply(text) ?? text)
    }
    normalizedFinder = AddedTokenFinder(normalized, texts: texts)
  }

  /// What errors say of a file that is right, but of a kind that is not done here.
  static let refusalHint = "tools/tokenize does it, with Hugging Face's tokenizers"

  /// Whether `error` says that a file is of a kind that is not done here, rather than wrong.
  public static func refuses(_ error: InputError) -> Bool { error.hint == refusalHint }

  /// The ids of `text`.
  ///
  /// - Parameter addingSpecialTokens: Whether to add what the file puts before and after every text,
  ///   such as `[CLS]`; tokens that stand in the text are found in any case.
  /// - Throws: `InputError` where the tokenizer has no token for a character, nor one for unknown
  ///   ones.
  public func encode(_ text: String, addingSpecialTokens: Bool = true) throws(InputError) -> [Int] {
    var ids = addingSpecialTokens ? prefix : []
    let scalars = Scalars(text)
    for (range, token) in plainFinder.parts(scalars) {
      if let token {
        ids.append(token)
        continue
      }
      let part = Scalars(scalars[range])
      let normalized = try normalizer?.apply(part) ?? part
      for (inner, token) in normalizedFinder.parts(normalized) {
        if let token {
          ids.append(token)
          continue
        }
        guard !inner.isEmpty else { continue }
        let piece = Piece(
          scalars: Scalars(normalized[inner]),
          isFirst: range.lowerBound == 0 && inner.lowerBound == 0)
        for piece in try preTokenizer?.apply([piece]) ?? [piece] where !piece.scalars.isEmpty {
          ids += try model.encode(piece.scalars)
        }
      }
    }
    return addingSpecialTokens ? ids + suffix : ids
  }

  /// The text of the token `id`; nil where it stands for none.
  public func token(_ id: Int) -> String? {
    guard let added = addedTokens[id] else { return model.vocabulary.text(of: id) }
    guard added.isNormalized, let normalizer else { return added.content }
    // The reference shows such a token as it is searched for.
    let text = (try? normalizer.apply(Scalars(added.content))) ?? Scalars(added.content)
    return String(String.UnicodeScalarView(text))
  }

  /// The id of the token with this text.
  public func id(of token: String) -> Int? {
    addedTokens.values.first { $0.content.utf8.elementsEqual(token.utf8) }?.id
      ?? model.vocabulary.id(of: token)
  }

  /// The text of `ids`; ids that stand for no token are left out, as the reference does.
  public func decode(_ ids: [Int], skippingSpecialTokens: Bool = true) -> String {
    let tokens = ids.compactMap { id -> String? in
      let text = token(id)
      // A special token that is shown otherwise than it is written is not known for one.
      guard skippingSpecialTokens, let added = addedTokens[id], added.isSpecial,
        text?.utf8.elementsEqual(added.content.utf8) == true
      else { return text }
      return nil
    }
    guard let decoder else { return tokens.joined(separator: " ") }
    return decoder.apply(tokens).joined()
  }

  /// The largest id.
  public var largestID: Int { max(model.vocabulary.largest, addedTokens.keys.max() ?? -1) }
}
