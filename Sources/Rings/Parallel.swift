// Loops over all cores with fixed pieces, so that results do not depend on the number of threads.

internal import Dispatch

/// Runs the pieces of a range on all cores.
public enum Parallel {
  /// Calls `body` once with each of `0..<chunk`, `chunk..<2 chunk`, ... up to `count`, in no
  /// particular order and on several threads, and returns when all calls have.
  ///
  /// What `body` writes for one piece must not be touched by another.
  public static func forEachChunk(count: Int, chunk: Int, _ body: (Range<Int>) -> Void) {
    precondition(count >= 0 && chunk > 0, "pieces have at least one element")
    let pieces = (count + chunk - 1) / chunk
    if pieces <= 1 {
      if count > 0 { body(0..<count) }
      return
    }
    withoutActuallyEscaping(body) { body in
      // Not `@Sendable`: a piece writes through pointers, which are disjoint by the rule above.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: pieces) { piece in
        unsafe body((piece * chunk)..<min(count, (piece + 1) * chunk))
      }
    }
  }

  /// The same over the elements of `elements`: each call may write its own piece and no other.
  ///
  /// `body` gets the indices of the piece and the piece itself, whose first index is 0.
  public static func forEachChunk<Element: BitwiseCopyable>(
    of elements: inout MutableSpan<Element>, chunk: Int,
    _ body: (Range<Int>, inout MutableSpan<Element>) -> Void
  ) {
    unsafe elements.withUnsafeMutableBufferPointer { buffer in
      forEachChunk(count: buffer.count, chunk: chunk) { range in
        var piece = unsafe buffer.extracting(range).mutableSpan
        body(range, &piece)
      }
    }
  }
}
