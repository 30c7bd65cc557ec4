// Token files: both accepted forms, and everything that is not ids.

import Bytes
import TestSupport
import Testing

@Suite struct TokenFileTests {
  private func read(_ text: String) throws -> [[Int]] {
    let folder = try ScratchFolder()
    return try TokenFile.read(folder.write(text.utf8, to: "t.json"))
  }

  @Test func readsOneListAndManyLists() throws {
    #expect(try read("[2, 0, 2147483647]") == [[2, 0, 2_147_483_647]])
    #expect(try read("[[1],[2, 3]]") == [[1], [2, 3]])
  }

  @Test(arguments: [
    ("[]", "holds no tokens"), ("[[]]", "[0]: holds no tokens"),
    ("[[1],[]]", "[1]: holds no tokens"), ("{\"ids\": [1]}", "expected a JSON array"),
    ("[{\"ids\": [1]}]", "[0]: expected a token id"), ("[[1],{}]", "[1]: expected an array"),
    ("[[1],2]", "[1]: expected an array"), ("[1,[2]]", "[1]: expected a token id"),
    ("[-1]", "[0]: expected a token id"), ("[[1],[1,1.0]]", "[1][1]: expected a token id"),
    ("[2147483648]", "[0]: expected a token id"), ("[\"1\"]", "[0]: expected a token id"),
    ("[[[1]]]", "[0][0]: expected a token id"), ("[1,]", "byte 3"), ("", "byte 0"),
  ]) func refuses(text: String, cause: String) {
    let error = #expect(throws: InputError.self) { try read(text) }
    #expect(error?.description.contains(": \(cause)") == true)
  }
}
