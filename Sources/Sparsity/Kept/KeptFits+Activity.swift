// Statistics of neurons, as an interrupted run keeps them.

import Bytes
import Containers

extension KeptFits {
  private static let countsName = "counts"
  private static let patternsName = "patterns"

  /// The activity of a layer on text of `positionCount` positions; nil where it is not there yet.
  func activity(of site: FeedForwardSite, positionCount: Int) throws(InputError) -> Activity? {
    try read(.activity, [site.layer]) { (header, reader) throws(InputError) -> Activity? in
      try reader.requireExactly([KeptFits.countsName, KeptFits.patternsName])
      let stride = try header.integer("stride", in: 1...max(positionCount, 1))
      let counts = try reader.read(
        KeptFits.countsName, as: UInt64.self, shape: [site.neuronCount])
      let patterns = try reader.read(KeptFits.patternsName, as: UInt64.self)
      return Activity(
        counts: counts.map { Int(clamping: $0) }, patterns: patterns, stride: stride,
        positionCount: positionCount)
    }
  }

  func keep(_ activity: Activity, of site: FeedForwardSite) throws(InputError) {
    let stored = activity.stored
    try write(
      .activity, [site.layer], header: ["stride": .integer(stored.stride)],
      datasets: [
        .init(name: KeptFits.countsName, elementType: .u64, shape: [activity.neuronCount]),
        .init(
          name: KeptFits.patternsName, elementType: .u64, shape: [stored.patterns.count],
          storage: .zstd),
      ]
    ) { (writer) throws(InputError) in
      try writer.write(KeptFits.countsName, values: activity.counts.map { UInt64($0) })
      try writer.write(KeptFits.patternsName, values: stored.patterns)
    }
  }
}
