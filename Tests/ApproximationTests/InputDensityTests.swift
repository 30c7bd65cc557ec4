// Histograms of inputs: shares, quantiles and means.

import Approximation
import Foundation
import Testing

struct InputDensityTests {
  @Test func sharesAndQuantilesAreInverse() {
    let density = InputDensity(
      edges: [-2, -1, 1, 4], counts: [1, 2, 1], minimum: -1.5, maximum: 3)
    #expect(density.share(below: -3) == 0 && density.share(below: 5) == 1)
    #expect(density.share(below: -1) == 0.25 && density.share(below: 0) == 0.5)
    for share in stride(from: 0.05, to: 1, by: 0.05) {
      #expect(abs(density.share(below: density.quantile(share)) - share) < 1e-12)
    }
    #expect(density.range == -1.5...3 && density.bound == 3)
  }

  @Test func meansFollowTheCounts() {
    let density = InputDensity(edges: [0, 1, 2], counts: [3, 1], minimum: 0, maximum: 2)
    #expect(abs(density.mean { $0 } - (0.75 * 0.5 + 0.25 * 1.5)) < 1e-12)
    #expect(abs(InputDensity(uniformOn: -1...3).mean { $0 * $0 } - 7.0 / 3) < 0.05)
  }

  @Test func samplesFillTheirBins() {
    let density = InputDensity(samples: [0, 0, 0, 10], binCount: 10)
    #expect(density.counts == [3, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    #expect(density.share(below: 5) == 0.75)
    let constant = InputDensity(samples: [2, 2])
    #expect(constant.range == 2...2 && constant.share(below: 3) == 1)
    #expect(abs(constant.mean { $0 } - 2) < 1e-9)
  }
}
