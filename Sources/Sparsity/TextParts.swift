// What every fit collects: texts by what they are used for, and what sites read beside what they
// give.

import Bytes
import Models

/// Texts by what they are used for.
struct TextParts {
  private(set) var training: [[Int]] = []
  private(set) var tuning: [[Int]] = []
  private(set) var judging: [[Int]] = []

  /// Every tenth of the texts chooses thresholds; two of ten judge where no other text does.
  private static let partCount = 10

  /// - Throws: `InputError` for too few texts.
  init(_ texts: [[Int]], heldOut: [[Int]], source: String) throws(InputError) {
    for (index, text) in texts.enumerated() {
      switch index % TextParts.partCount {
      case 4: tuning.append(text)
      case 2, 7: if heldOut.isEmpty { judging.append(text) } else { training.append(text) }
      default: training.append(text)
      }
    }
    judging += heldOut
    guard !tuning.isEmpty, !judging.isEmpty else {
      throw InputError(
        source,
        "\(Quantity.count(texts.count, "text is", "texts are")) too few to hold some out",
        hint: "give at least 8 texts, such as the windows of one long text")
    }
  }

  var all: [[[Int]]] { [training, tuning, judging] }

  /// Positions of samples of all parts that hold at most `count` each.
  func sampledCount(atMost count: Int) -> Int {
    all.reduce(0) { $0 + min($1.reduce(0) { $0 + $1.count }, count) }
  }
}

extension FloatInterpreter {
  /// Indices of `sites` whose samples of `positionCount` positions fit half of the memory together.
  func sampleGroups(
    _ sites: [(inputCount: Int, blockCount: Int)], positionCount: Int
  ) -> [[Int]] {
    var (groups, used): ([[Int]], Int) = ([], 0)
    for (index, site) in sites.enumerated() {
      let size =
        positionCount
        * GateSample.byteCount(inputCount: site.inputCount, blockCount: site.blockCount)
      if groups.isEmpty || used + size > memory.byteCount / 2 {
        groups.append([])
        used = 0
      }
      groups[groups.count - 1].append(index)
      used += size
    }
    return groups
  }

  /// Runs `texts` and tells for each of `sites`, by its place, what node `source` and later node
  /// `value` gave.
  func observe(
    _ sites: [(source: ModelValue, value: ModelValue)], texts: [[Int]], source: String,
    progress: (Int, Int) -> Void,
    receive: @escaping (_ place: Int, _ read: [Float], _ given: [Float]) -> Void
  ) throws(InputError) {
    var sources: [ModelValue: [Float]] = [:]
    let needed = Set(sites.map(\.source))
    try run(
      texts: texts, source: source,
      observe: { node, kind, values in
        guard kind == .output else { return }
        if needed.contains(node) { sources[node] = values }
        for (place, site) in sites.enumerated() where site.value == node {
          if let read = sources[site.source] { receive(place, read, values) }
        }
      }, progress: progress)
  }
}
