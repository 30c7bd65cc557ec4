// Party 1 in the hands of an attacker: what its messages tell it, and messages that it changes.

public import Bytes
public import OnlineRuntime
public import Program
import Sharing

/// Stands between party 1 and its channel in a session of one step.
///
/// It knows what party 1 knows: the program, its own seeds, and what arrives.
public final class CuriousParty: OpeningChannel, Sendable {
  /// What party 1 has read.
  public struct View: Sendable {
    /// By node of a permuted function: the numbers that it is taken of, in the order in which they come.
    public var permuted: [Int: [Int64]] = [:]
    /// By node the words that came for it, under whatever masks.
    public var received: [Int: [UInt64]] = [:]

    public init() {}
  }

  public let view = Shared(View())
  private let flight = Shared(0)
  private let channel: PairedChannel
  private let program: SecureProgram
  /// Party 1's own.
  private let streams: SessionStreams
  private let step: SessionStep
  /// Flights in which something travels.
  private let flights: [[Timetable.Message]]
  private let changes: [Int: [UInt64]]

  /// `changes` are added to party 1's share of what these nodes open, and so to the value that both
  /// parties go on with: party 1, too, where it learns what is opened.
  public init(
    _ channel: PairedChannel, _ material: MemoryMaterial, program: SecureProgram,
    step: SessionStep, changes: [Int: [UInt64]] = [:]
  ) {
    self.channel = channel
    streams = material.streams
    self.program = program
    self.step = step
    self.changes = changes
    flights = Timetable(program, deployment: material.deployment).flights.filter { messages in
      messages.contains { message in
        (0...1).contains { program.wordCount(message, party: $0, in: step) > 0 }
      }
    }
  }

  public func exchange(_ words: [UInt64], incomingCount: Int) throws(InputError) -> [UInt64] {
    let messages = flight.withLock {
      $0 += 1
      return flights[$0 - 1]
    }
    var words = words
    var place = 0
    for message in messages {
      let count = program.wordCount(message, party: 1, in: step)
      defer { place += count }
      change(&words, at: place..<place + count, of: message.node)
    }
    var incoming = try channel.exchange(words, incomingCount: incomingCount)
    place = 0
    for message in messages {
      let count = program.wordCount(message, party: 0, in: step)
      if count > 0 { read(message.node, incoming[place..<place + count]) }
      // What party 1 adds to its own words, it has in the sum.
      change(&incoming, at: place..<place + count, of: message.node)
      place += count
    }
    return incoming
  }

  /// Adds what is to be changed at `node` to the words of its message at `places`.
  private func change(_ words: inout [UInt64], at places: Range<Int>, of node: Int) {
    guard let change = changes[node], !places.isEmpty, let opening = program.sentOpening(node)
    else { return }
    var changed = change
    opening.add(words[places], to: &changed)
    var packed: [UInt64] = []
    opening.pack(changed.map(opening.reduced), into: &packed)
    words.replaceSubrange(places, with: packed)
  }

  private func read(_ node: Int, _ words: ArraySlice<UInt64>) {
    view.withLock { $0.received[node] = Array(words) }
    guard case .permuted(let x, let function) = program.nodes[node].operation else { return }
    let (shape, bits) = (program.values[x].shape, function.opening.bits)
    let elements =
      function.permutesWholeText(shape, kind: program.kind)
      ? [0..<step.permutedCount(shape, function)] : step.dealtRanges(shape)
    let opening = Opening(shift: 0, bits: bits)
    var numbers = streams.correlation(node: node, component: 0).words(in: elements)
      .map(opening.reduced)
    opening.add(words.prefix(opening.wordCount(elements: numbers.count)), to: &numbers)
    let unused = UInt64(64 - bits)
    view.withLock { [numbers] in
      $0.permuted[node] = numbers.map { Int64(bitPattern: $0 &<< unused) &>> Int64(unused) }
    }
  }
}
