// Party 1's end of lanes: it opens them, and answers what is proposed on them.

import Bytes

extension PartyService {
  /// Keeps one lane of `meeting` open, and serves sessions on it, until the meeting is over.
  func serveLanes(of meeting: Meeting, at address: Address, _ server: SessionServer) {
    var pause = 100
    while mayServe(meeting) {
      var fault: InputError?
      do throws(InputError) {
        let lane = try dialLane(of: meeting, at: address)
        defer {
          lane.close()
          inbox.forget(lane)
        }
        pause = 100
        try serveLane(lane, of: meeting, server)
      } catch {
        fault = error
      }
      let end = Deadline.after(.milliseconds(pause))
      while mayServe(meeting), !end.hasPassed { pauseShortly() }
      // A party that is gone ends the meeting as well, which is told there.
      if let fault, mayServe(meeting) { strangers.log("error: a lane failed: \(fault)") }
      pause = min(2 * pause, 2000)
    }
  }

  private func mayServe(_ meeting: Meeting) -> Bool {
    !meeting.isOver && !inbox.isStopping && !inbox.isStopped
  }

  private func dialLane(of meeting: Meeting, at address: Address) throws(InputError) -> Connection {
    let lane = try Connection.dial(address, seconds: 2, security: configuration.security.dialled)
    do throws(InputError) {
      inbox.register(lane)
      lane.label = "party 0 at \(address)"
      let hello = Hello.lane(meeting.identifier)
      guard try hello.answer(of: lane, .after(configuration.handshakeTimeout)) == hello else {
        throw InputError(lane.label, "opens another lane than was asked for")
      }
      lane.progressTimeout = configuration.progressTimeout
      return lane
    } catch {
      lane.close()
      inbox.forget(lane)
      throw error
    }
  }

  private func serveLane(
    _ lane: Connection, of meeting: Meeting, _ server: SessionServer
  ) throws(InputError) {
    while mayServe(meeting), !lane.isBroken, !lane.isClosedByPeer {
      if Connection.wait([(lane, Readiness.readable)], milliseconds: 200)[0] == 0 { continue }
      if lane.isClosedByPeer { break }
      let frame = try lane.receive(.control(.proposal), deadline: .after(.seconds(10)))
      try server.serve(ProposalMessage(frame, source: lane.label), peer: lane)
    }
  }
}
