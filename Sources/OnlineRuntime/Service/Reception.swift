// Where connections wait until they have proved who they are.

import Bytes
import Glibc
import Trust

/// Accepts connections and runs their handshakes, all on one thread: a stranger costs its socket.
///
/// Who has shown a known key leaves at once, for a place that no stranger can take.
struct Reception {
  /// How far a connection has come; where places are short, the lowest give way first.
  enum Stage: Int {
    /// Refused: only its last bytes have to arrive.
    case leaving
    case silent
    /// Has sent the beginning of a handshake.
    case speaking
  }

  private struct Guest {
    var connection: Connection
    var stage: Stage
    var events: Int16
    var deadline: Deadline
  }

  /// Places at most.
  static let capacity = 1024

  private let service: PartyService
  /// Oldest first.
  private var guests: [Guest] = []
  private var counts: [String: Int] = [:]
  private let capacity: Int
  /// Places for one address, so that none can take all.
  private let capacityForHost: Int

  init(_ service: PartyService) {
    self.service = service
    capacity = min(Reception.capacity, max(64, Reception.raisedDescriptorLimit() - 256))
    capacityForHost = capacity * 3 / 4
  }

  /// The number of descriptors that this process may have, after taking all that it is allowed.
  private static func raisedDescriptorLimit() -> Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return 1024
    }
    let wanted = min(limit.rlim_max, 4096)
    if limit.rlim_cur < wanted {
      limit.rlim_cur = wanted
      _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
    return Int(clamping: limit.rlim_cur)
  }

  /// Works until the service stops.
  mutating func run() {
    let listener = service.listener
    while !service.inbox.isStopped {
      var watched = [(socket: listener.socket, events: Readiness.readable)]
      for guest in guests { watched.append((guest.connection.socket, guest.events)) }
      let ready = Readiness.wait(watched, milliseconds: 250)
      // First those who are here: they make room for others.
      for index in guests.indices.reversed() where ready[index + 1] != 0 { advance(index) }
      expire()
      if ready[0] != 0 { acceptAll() }
      service.strangers.finishWindow()
    }
    for guest in guests { guest.connection.close() }
  }

  private mutating func acceptAll() {
    for _ in 0..<256 {
      switch service.listener.acceptNow() {
      case .connection(let connection): admit(connection)
      case .nobody: return
      case .exhausted:
        // Without a descriptor the newcomer cannot even be refused.
        if guests.isEmpty { usleep(10_000) } else { giveWay(to: nil) }
        return
      }
    }
  }

  private mutating func admit(_ connection: Connection) {
    let host = connection.host
    if counts[host, default: 0] >= capacityForHost {
      giveWay(to: host)
    } else if guests.count >= capacity {
      giveWay(to: nil)
    }
    counts[host, default: 0] += 1
    connection.beginHandshake(service.configuration.security.accepted, as: .listener)
    guests.append(
      Guest(
        connection: connection, stage: .silent, events: Readiness.readable,
        deadline: .after(service.configuration.handshakeTimeout)))
    // Its first bytes may have come along.
    if Readiness.wait([(connection.socket, Readiness.readable)], milliseconds: 0)[0] != 0 {
      advance(guests.count - 1)
    }
  }

  /// Closes the oldest connection of the lowest stage of `host`, or of the address with the most.
  private mutating func giveWay(to host: String?) {
    let host = host ?? counts.max { $0.value < $1.value }?.key
    var victim: Int?
    for index in guests.indices where guests[index].connection.host == host {
      if let found = victim, guests[found].stage.rawValue <= guests[index].stage.rawValue {
        continue
      }
      victim = index
      if guests[index].stage == .leaving { break }
    }
    guard let victim else { return }
    service.strangers.count()
    remove(victim).close()
  }

  @discardableResult
  private mutating func remove(_ index: Int) -> Connection {
    let connection = guests.remove(at: index).connection
    counts[connection.host, default: 1] -= 1
    if counts[connection.host] == 0 { counts[connection.host] = nil }
    return connection
  }

  private mutating func advance(_ index: Int) {
    let guest = guests[index]
    if guest.stage == .leaving {
      if guest.connection.hasSentAll() { remove(index).close() }
      return
    }
    do throws(InputError) {
      if let events = try guest.connection.continueHandshake(guest.deadline) {
        guests[index].stage = .speaking
        guests[index].events = events
        return
      }
      remove(index)
      service.welcome(guest.connection, guest.deadline)
    } catch {
      refuse(index, error)
    }
  }

  private mutating func refuse(_ index: Int, _ error: InputError) {
    service.strangers.log("dropped \(error)")
    guests[index].connection.endSending()
    guests[index].stage = .leaving
    guests[index].events = Readiness.readable
    guests[index].deadline = .after(.seconds(1))
  }

  private mutating func expire() {
    let now = ContinuousClock.now
    for index in guests.indices.reversed() {
      guard let instant = guests[index].deadline.instant, now >= instant else { continue }
      let guest = guests[index]
      switch guest.stage {
      case .leaving: break
      case .silent: service.strangers.count()
      case .speaking:
        let cause = "did not finish the TLS handshake in time"
        service.strangers.log("dropped \(InputError(guest.connection.label, cause))")
      }
      remove(index).close()
    }
  }
}
