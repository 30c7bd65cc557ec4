// What a party sends for an opened value, and how it travels.

extension Opening {
  /// This party's words: the shifted share of x, which is known modulo 2^ringBits, plus one at party
  /// 0 where bits are dropped, plus its share of the mask.
  public func masked(
    _ share: [UInt64], ringBits: Int, mask: [UInt64], constantFactor: UInt64
  ) -> [UInt64] {
    if self == .whole { return share.indices.map { share[$0] &+ mask[$0] } }
    let ring = UInt64.max &>> UInt64(64 - ringBits)
    let one = shift > 0 ? constantFactor : 0
    return share.indices.map { index in
      reduced((share[index] & ring) &>> UInt64(shift) &+ one &+ mask[index])
    }
  }

  /// Appends `words` as they travel: the lowest `bits` of each, from the lowest bit of a word on and
  /// without gaps, filled up with zeros to a whole word.
  public func pack(_ words: [UInt64], into outgoing: inout [UInt64]) {
    guard bits < 64 else {
      outgoing += words
      return
    }
    let width = UInt64(bits)
    outgoing.reserveCapacity(outgoing.count + wordCount(elements: words.count))
    var pending: UInt64 = 0
    var filled: UInt64 = 0
    for word in words {
      pending |= word &<< filled
      filled += width
      if filled >= 64 {
        outgoing.append(pending)
        filled -= 64
        pending = filled == 0 ? 0 : word &>> (width - filled)
      }
    }
    if filled > 0 { outgoing.append(pending) }
  }

  /// Adds the other party's packed words to this party's.
  public func add(_ incoming: ArraySlice<UInt64>, to words: inout [UInt64]) {
    for index in words.indices {
      let bit = index * bits
      let place = incoming.startIndex + bit / 64
      let offset = UInt64(bit % 64)
      var word = incoming[place] &>> offset
      if bit % 64 + bits > 64 { word |= incoming[place + 1] &<< (64 - offset) }
      words[index] = reduced(words[index] &+ word)
    }
  }
}

extension SessionStep {
  /// Cell and place of every opened word of a value of `shape`, under the tops of its runs.
  public func cellPlaces(
    _ opened: [UInt64], _ shape: ValueShape, _ cells: MaskCells, tops: [Int]
  ) -> [(cell: Int, offset: UInt64)] {
    underTops(opened, shape, tops: tops) { cells.place($0, top: $1) }
  }

  /// What `body` gives for every word of a value of `shape` and the top of its run.
  public func underTops<Result>(
    _ words: [UInt64], _ shape: ValueShape, tops: [Int],
    _ body: (_ word: UInt64, _ top: Int) -> Result
  ) -> [Result] {
    if tops.count == 1 { return words.map { body($0, tops[0]) } }
    var result: [Result] = []
    result.reserveCapacity(words.count)
    for (index, run) in runs(shape, count: tops.count).enumerated() {
      for element in run { result.append(body(words[element], tops[index % tops.count])) }
    }
    return result
  }
}
