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

  /// `changes` are added to what party 1 sends, alone, for the openings of these nodes: to its share of
  /// what is opened, and so to the value that the other party goes on with.
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
      guard let change = changes[message.node],
        case .open(_, let opening) = program.nodes[message.node].operation
      else { continue }
      var changed = change
      opening.add(words[place..<place + count], to: &changed)
      var packed: [UInt64] = []
      opening.pack(changed.map(opening.reduced), into: &packed)
      words.replaceSubrange(place..<place + count, with: packed)
    }
    let incoming = try channel.exchange(words, incomingCount: incomingCount)
    place = 0
    for message in messages {
      let count = program.wordCount(message, party: 0, in: step)
      if count > 0 { read(message.node, incoming[place..<place + count]) }
      place += count
    }
    return incoming
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
