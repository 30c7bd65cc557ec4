// TEMPORARY
public struct ComparisonFunction: Sendable {
  let levels: Int, payload: Int
  public init(fixedKey: [UInt8], levels: Int, payload: Int) { self.levels = levels; self.payload = payload }
  var stride: Int { 8 + levels * (16 + 8 * payload) + 8 * payload }
  func h(_ s: (UInt64, UInt64), _ i: UInt64) -> (UInt64, UInt64) {
    func m(_ x: UInt64) -> UInt64 { var z = x &+ 0x9E3779B97F4A7C15; z = (z ^ (z >> 30)) &* 0xBF58476D1CE4E5B9; z = (z ^ (z >> 27)) &* 0x94D049BB133111EB; return z ^ (z >> 31) }
    let a = m(s.0 ^ m(s.1 &+ i &* 77)), b = m(s.1 ^ m(a &+ s.0 &+ i))
    return (m(a ^ b), m(b &+ a &* 3))
  }
  func expand(_ s: (UInt64, UInt64), right: Bool) -> (seed: (UInt64, UInt64), t: UInt64, v: [UInt64]) {
    let c = h(s, right ? 2 : 0)
    let v1 = h(s, right ? 8 : 4), v2 = h(s, right ? 10 : 6)
    return ((c.0 & ~1, c.1), c.0 & 1, Array([v1.0, v1.1, v2.0].prefix(payload)))
  }
  func leaf(_ s: (UInt64, UInt64)) -> [UInt64] { let a = h(s, 12), b = h(s, 14); return Array([a.0, a.1, b.0].prefix(payload)) }
  public func generated(alphas: [UInt64], betas: [UInt64], roots: [[UInt64]]) -> [UInt8] {
    var out: [UInt8] = []
    func put(_ x: UInt64) { var x = x; for _ in 0..<8 { out.append(UInt8(x & 255)); x >>= 8 } }
    for k in alphas.indices {
      var s = [(roots[0][2*k] & ~1, roots[0][2*k+1]), (roots[1][2*k] & ~1, roots[1][2*k+1])]
      var t: [UInt64] = [0, 1]
      let beta = Array(betas[k*payload..<(k+1)*payload])
      var va = [UInt64](repeating: 0, count: payload)
      var control: UInt64 = 0
      var body: [UInt64] = []
      for l in 0..<levels {
        let bit = (alphas[k] >> UInt64(levels - 1 - l)) & 1
        let L = (0...1).map { expand(s[$0], right: false) }, R = (0...1).map { expand(s[$0], right: true) }
        let keep = bit == 1 ? R : L, lose = bit == 1 ? L : R
        let scw = (lose[0].seed.0 ^ lose[1].seed.0, lose[0].seed.1 ^ lose[1].seed.1)
        let sign: UInt64 = t[1] == 1 ? .max : 1
        var vcw = [UInt64](repeating: 0, count: payload)
        for j in 0..<payload {
          vcw[j] = sign &* (lose[1].v[j] &- lose[0].v[j] &- va[j])
          if bit == 1 { vcw[j] &+= sign &* beta[j] }
        }
        for j in 0..<payload { va[j] = va[j] &- keep[1].v[j] &+ keep[0].v[j] &+ sign &* vcw[j] }
        let tl = L[0].t ^ L[1].t ^ bit ^ 1, tr = R[0].t ^ R[1].t ^ bit
        control |= tr << UInt64(l)
        body += [scw.0 | tl, scw.1] + vcw
        let tk = bit == 1 ? tr : tl
        for b in 0...1 {
          let old = t[b]
          s[b] = old == 1 ? (keep[b].seed.0 ^ scw.0, keep[b].seed.1 ^ scw.1) : keep[b].seed
          t[b] = keep[b].t ^ (old & tk)
        }
      }
      let sign: UInt64 = t[1] == 1 ? .max : 1
      let l0 = leaf(s[0]), l1 = leaf(s[1])
      for j in 0..<payload { body.append(sign &* (l1[j] &- l0[j] &- va[j])) }
      put(control); for x in body { put(x) }
    }
    return out
  }
  public func evaluated(party: Int, keys: RawSpan, keyRange: Range<Int>, roots: [UInt64], pointsPerKey: Int, points: [UInt64]) -> [UInt64] {
    var out: [UInt64] = []
    for (i, k) in keyRange.enumerated() {
      func get(_ w: Int) -> UInt64 { var x: UInt64 = 0; for b in 0..<8 { x |= UInt64(unsafe keys.unsafeLoad(fromUncheckedByteOffset: k*stride+w*8+b, as: UInt8.self)) << UInt64(8*b) }; return x }
      for q in 0..<pointsPerKey {
        let x = points[i*pointsPerKey+q]
        var s = (roots[2*k] & ~1, roots[2*k+1]), t = UInt64(party)
        var v = [UInt64](repeating: 0, count: payload)
        let sign: UInt64 = party == 1 ? .max : 1
        let control = get(0)
        for l in 0..<levels {
          let bit = (x >> UInt64(levels-1-l)) & 1
          let e = expand(s, right: bit == 1)
          let base = 1 + l*(2+payload)
          for j in 0..<payload { v[j] &+= sign &* (e.v[j] &+ t &* get(base+2+j)) }
          let tc = bit == 1 ? (control >> UInt64(l)) & 1 : get(base) & 1
          let scw = (get(base) & ~1, get(base+1))
          let nt = e.t ^ (t & tc)
          s = t == 1 ? (e.seed.0 ^ scw.0, e.seed.1 ^ scw.1) : e.seed
          t = nt
        }
        let lf = leaf(s)
        for j in 0..<payload { v[j] &+= sign &* (lf[j] &+ t &* get(1+levels*(2+payload)+j)) }
        out += v
      }
    }
    return out
  }
}
