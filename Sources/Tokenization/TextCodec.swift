// A model's tokenizer: exact here, or through tools/tokenize where it is of another kind.

public import Bytes

/// Text to ids and back by whatever does it exactly.
public enum TextCodec: Sendable {
  case exact(Tokenizer)
  /// `tools/tokenize`, with the file at `path`.
  case helper(path: String, tool: HelperTool)

  /// The tokenizer of the file or the folder at `path`.
  ///
  /// - Throws: `InputError` where it is wrong, or neither this nor `tools/tokenize` can do it.
  public init(_ path: String) throws(InputError) {
    do throws(InputError) {
      self = .exact(try Tokenizer(folder: path))
    } catch {
      guard Tokenizer.refuses(error), let tool = try? HelperTool("tokenize", for: path) else {
        throw error
      }
      self = .helper(path: path, tool: tool)
    }
  }

  /// The ids of each of `texts`, none of them empty.
  ///
  /// - Parameters:
  ///   - start: Id to put before every text, instead of what the tokenizer adds.
  ///   - addingSpecialTokens: Whether the tokenizer adds any.
  public func encode(
    _ texts: [String], start: Int? = nil, addingSpecialTokens: Bool = true
  ) throws(InputError) -> [[Int]] {
    let addsTokens = addingSpecialTokens && start == nil
    let lists: [[Int]]
    switch self {
    case .exact(let tokenizer):
      if let start, tokenizer.token(start) == nil {
        throw InputError(
          "--start",
          "\(start) is no id of the tokenizer, whose largest is \(tokenizer.largestID)")
      }
      var found: [[Int]] = []
      for text in texts {
        let ids = try tokenizer.encode(text, addingSpecialTokens: addsTokens)
        found.append((start.map { [$0] } ?? []) + ids)
      }
      lists = found
    case .helper(let path, let tool):
      let input = JSON.array(texts.map(JSON.string)).text
      let startWords = start.map { ["--start", String($0)] } ?? (addsTokens ? [] : ["--bare"])
      let output = try tool.run(
        ["encode", "--tokenizer", path, "--list", "--json"] + startWords, input: input)
      guard case .array(let elements) = try JSON.parse(output, source: tool.path) else {
        throw InputError(tool.path, "did not print token lists")
      }
      lists = elements.map { element in
        guard case .array(let ids) = element else { return [] }
        return ids.compactMap { if case .integer(let id) = $0 { id } else { nil } }
      }
    }
    if let empty = lists.firstIndex(where: \.isEmpty) {
      throw InputError("text \(empty)", "has no tokens")
    }
    return lists
  }

  /// The text of each list of ids.
  ///
  /// - Parameter source: Where they are from, for errors.
  public func decode(
    _ lists: [[Int]], source: String, skippingSpecialTokens: Bool = true
  ) throws(InputError) -> [String] {
    switch self {
    case .exact(let tokenizer):
      for (index, list) in lists.enumerated() {
        guard let unknown = list.first(where: { tokenizer.token($0) == nil }) else { continue }
        throw InputError(
          source, place: "list \(index)",
          "\(unknown) is no id of the tokenizer, whose largest is \(tokenizer.largestID)")
      }
      return lists.map {
        tokenizer.decode($0, skippingSpecialTokens: skippingSpecialTokens)
      }
    case .helper(let path, let tool):
      // One text a run: nothing else separates texts that hold line breaks.
      var texts: [String] = []
      for list in lists {
        let keeping = skippingSpecialTokens ? [] : ["--keep-special"]
        var text = try tool.run(
          ["decode", "--tokenizer", path] + keeping,
          input: JSON.array(list.map(JSON.integer)).text)
        if text.unicodeScalars.last == "\n" { text.unicodeScalars.removeLast() }
        texts.append(text)
      }
      return texts
    }
  }
}
