// A stochastic optimiser, and the random numbers that it begins with.

import Foundation

/// Adam (Kingma & Ba 2014) with decoupled weight decay (Loshchilov & Hutter 2019).
struct Adam {
  private var first: [Float]
  private var second: [Float]
  private var step = 0

  init(count: Int) {
    first = [Float](repeating: 0, count: count)
    second = first
  }

  mutating func update(_ values: inout [Float], _ gradients: [Float], rate: Float, decay: Float) {
    step += 1
    let (beta1, beta2): (Float, Float) = (0.9, 0.99)
    let correction1 = 1 - pow(beta1, Float(step))
    let correction2 = 1 - pow(beta2, Float(step))
    for index in values.indices {
      let gradient = gradients[index]
      first[index] = beta1 * first[index] + (1 - beta1) * gradient
      second[index] = beta2 * second[index] + (1 - beta2) * gradient * gradient
      let change = first[index] / correction1 / ((second[index] / correction2).squareRoot() + 1e-8)
      values[index] -= rate * (change + decay * values[index])
    }
  }
}

/// SplitMix64 (Steele, Lea & Flood 2014): equal numbers for equal seeds; not for secrets.
struct SplitMixGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var x = state
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }
}
