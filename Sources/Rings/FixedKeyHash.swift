// A hash of 128-bit strings by AES under a public key, many at a time: the generator of all trees.

internal import CRingKernels

/// H(s, i) = AES-128(key, s xor i) xor s xor i, of which a string is two little-endian words.
public struct FixedKeyHash: Sendable {
  private let schedule: lodge_aes128_schedule
  private let kernels: lodge_kernels

  /// `fixedKey`: 16 public bytes.
  public init(fixedKey: [UInt8], arm: KernelArm = .best) {
    schedule = lodge_aes128_schedule(fixedKey: fixedKey)
    kernels = arm.kernels
  }

  /// H(s, i) for each string s of `strings`, two words each, and i of `tweaks`: all of the first
  /// string, then all of the next.
  public func hashes(_ strings: [UInt64], tweaks: Range<UInt64>) -> [UInt64] {
    var inputs: [UInt64] = []
    inputs.reserveCapacity(strings.count * tweaks.count)
    for place in stride(from: 0, to: strings.count, by: 2) {
      for tweak in tweaks {
        inputs.append(strings[place] ^ tweak)
        inputs.append(strings[place + 1])
      }
    }
    var result = inputs
    unsafe withUnsafePointer(to: schedule) { schedule in
      unsafe result.withUnsafeMutableBufferPointer { words in
        guard let first = words.baseAddress else { return }
        unsafe kernels.aes128_encrypt(schedule, first, inputs.count / 2)
      }
    }
    for place in result.indices { result[place] ^= inputs[place] }
    return result
  }
}
