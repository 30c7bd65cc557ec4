// Where connections wait until they have proved who they are.

import Bytes
import Glibc
import Trust

/// Accepts connections and runs their handshakes, all on one thread: a stranger costs its socket.
///
/// Who has shown a known key leaves at once, for a place that no stranger can take.
struct Reception {
  /// How far connections have come; each stage has places of its own, so that those who say nothing
  /// cannot push out those who speak, nor the other way round.
  private enum Stage: Int, CaseIterable {
    /// Refused: only its last bytes have to arrive.
    case leaving
    /// Has sent the beginning of a handshake.
    case speaking
    case silent

    /// What a flood may do: 1024 places are 0.4 s of 2,500 arrivals a second.
    var capacity: Int { self == .leaving ? 256 : 1024 }
  }

  private struct Guest {
    var connection: Connection
    var events: Int16
    var deadline: Deadline
  }

  private struct Room {
    /// Oldest first.
    var guests: [Guest] = []
    var counts: [String: Int] = [:]
    var capacity: Int
    /// Places for one address, so that none can take all.
    var capacityForHost: Int { capacity * 3 / 4 }

    mutating func remove(_ index: Int) -> Guest {
      let guest = guests.remove(at: index)
      let host = guest.connection.host
      counts[host] = counts[host].flatMap { $0 > 1 ? $0 - 1 : nil }
      return guest
    }

    /// Adds a guest; returns the one that has to go for it, the oldest of the same address or of
    /// the address with the most places.
    mutating func add(_ guest: Guest) -> Guest? {
      let host = guest.connection.host
      var loser: Guest?
      if counts[host, default: 0] >= capacityForHost {
        loser = removeOldest(of: host)
      } else if guests.count >= capacity {
        loser = removeOldest()
      }
      counts[host, default: 0] += 1
      guests.append(guest)
      return loser
    }

    /// Removes the oldest of `host`, or of the address with the most places.
    mutating func removeOldest(of host: String? = nil) -> Guest? {
      let host = host ?? counts.max { $0.value < $1.value }?.key
      return guests.firstIndex { $0.connection.host == host }.map { remove($0) }
    }
  }

  private let service: PartyService
  /// One for each stage.
  private var rooms: [Room]

  init(_ service: PartyService) {
    self.service = service
    // Half as many of each where this process may have few descriptors.
    let limit = Reception.raisedDescriptorLimit()
    let wanted = Stage.allCases.reduce(256) { $0 + $1.capacity }
    rooms = Stage.allCases.map {
      Room(capacity: limit >= wanted ? $0.capacity : max(16, $0.capacity * limit / (2 * wanted)))
    }
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
      for room in rooms {
        for guest in room.guests { watched.append((guest.connection.socket, guest.events)) }
      }
      let ready = Readiness.wait(watched, milliseconds: 250)
      // Each stage passes guests on only to those that come before it here.
      var end = 1
      for (stage, count) in zip(Stage.allCases, rooms.map(\.guests.count)) {
        for index in (0..<count).reversed() where ready[end + index] != 0 { advance(stage, index) }
        end += count
      }
      expire()
      if ready[0] != 0 { acceptAll() }
      service.strangers.finishWindow()
    }
    for room in rooms { for guest in room.guests { guest.connection.close() } }
  }

  private mutating func acceptAll() {
    for _ in 0..<256 {
      switch service.listener.acceptNow() {
      case .connection(let connection):
        put(
          Guest(
            connection: connection, events: Readiness.readable,
            deadline: .after(service.configuration.handshakeTimeout)), .silent)
      case .nobody: return
      case .exhausted:
        // Without a descriptor the newcomer cannot even be refused.
        if rooms.allSatisfy(\.guests.isEmpty) { usleep(10_000) }
        for stage in Stage.allCases {
          if let loser = rooms[stage.rawValue].removeOldest() { dismiss(loser) }
        }
        return
      }
    }
  }

  private mutating func put(_ guest: Guest, _ stage: Stage) {
    if let loser = rooms[stage.rawValue].add(guest) { dismiss(loser) }
  }

  private func dismiss(_ guest: Guest) {
    service.strangers.count()
    guest.connection.close()
  }

  private mutating func advance(_ stage: Stage, _ index: Int) {
    var guest = rooms[stage.rawValue].guests[index]
    if stage == .leaving {
      if guest.connection.hasSentAll() { rooms[stage.rawValue].remove(index).connection.close() }
      return
    }
    if stage == .silent {
      _ = rooms[stage.rawValue].remove(index)
      guest.connection.beginHandshake(service.configuration.security.accepted, as: .listener)
    }
    do throws(InputError) {
      if let events = try guest.connection.continueHandshake(guest.deadline) {
        guest.events = events
        if stage == .silent {
          put(guest, .speaking)
        } else {
          rooms[stage.rawValue].guests[index].events = events
        }
        return
      }
      if stage != .silent { _ = rooms[stage.rawValue].remove(index) }
      service.welcome(guest.connection, guest.deadline)
    } catch {
      if stage != .silent { _ = rooms[stage.rawValue].remove(index) }
      service.strangers.log("dropped \(error)")
      guest.connection.endSending()
      guest.events = Readiness.readable
      guest.deadline = .after(.seconds(1))
      put(guest, .leaving)
    }
  }

  private mutating func expire() {
    let now = ContinuousClock.now
    for stage in Stage.allCases {
      let room = rooms[stage.rawValue]
      for index in room.guests.indices.reversed() {
        guard let instant = room.guests[index].deadline.instant, now >= instant else { continue }
        let guest = rooms[stage.rawValue].remove(index)
        switch stage {
        case .leaving: break
        case .silent: service.strangers.count()
        case .speaking:
          let cause = "did not finish the TLS handshake in time"
          service.strangers.log("dropped \(InputError(guest.connection.label, cause))")
        }
        guest.connection.close()
      }
    }
  }
}
