// AES-128 of every arm: FIPS 197 vectors, and all arms alike on every number of blocks.

import CRingKernels
import Rings
import TestSupport
import Testing

@Suite struct BlockCipherTests {
  private func encrypt(_ blocks: [UInt64], key: [UInt8], arm: Int) -> [UInt64] {
    var schedule = lodge_aes128_schedule()
    unsafe lodge_aes128_expand(key, &schedule)
    var result = blocks
    let kernels = lodge_kernels_of(CInt(arm))
    unsafe kernels.aes128_encrypt(&schedule, &result, blocks.count / 2)
    return result
  }

  /// FIPS 197, appendices B and C.1; words are the bytes of the text in little-endian order.
  @Test(arguments: KernelArm.available) func standardVectors(arm: KernelArm) {
    #expect(
      encrypt(
        [0x7766_5544_3322_1100, 0xffee_ddcc_bbaa_9988], key: [UInt8](0..<16), arm: arm.rawValue)
        == [0x3004_7b6a_d8e0_c469, 0x5ac5_b470_80b7_cdd8])
    let key: [UInt8] = [
      0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f,
      0x3c,
    ]
    #expect(
      encrypt([0x8d30_5a88_a8f6_4332, 0x3407_37e0_a298_3131], key: key, arm: arm.rawValue)
        == [0xfb09_dc02_1d84_2539, 0x320b_6a19_9785_11dc])
  }

  @Test func armsAgreeOnEveryNumberOfBlocks() {
    var random = SplitMix(17)
    for count in Array(0...40) + [63, 64, 65, 127, 128, 129, 500] {
      let key = (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let blocks = random.words(2 * count)
      let reference = encrypt(blocks, key: key, arm: 0)
      for arm in KernelArm.available {
        #expect(encrypt(blocks, key: key, arm: arm.rawValue) == reference)
      }
    }
  }
}
