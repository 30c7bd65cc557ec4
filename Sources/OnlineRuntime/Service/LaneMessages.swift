// The messages with which lanes, the connections of single sessions, are opened.

import Bytes

/// `lanes`: under which name, and how many, party 1 may open.
struct LanesMessage: Equatable, Sendable {
  static let maximumCount = 64

  var meeting: [UInt8]
  var count: Int

  var payload: [UInt8] {
    let json: JSON = ["meeting": .string(meeting.hexadecimal), "count": .integer(count)]
    return Array(json.text.utf8)
  }

  init(meeting: [UInt8], count: Int) {
    self.meeting = meeting
    self.count = count
  }

  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.lanes, source: source)
    meeting = try Meeting.identifier(&reader)
    count = try reader.integer("count", in: 1...LanesMessage.maximumCount)
    try reader.finish()
  }
}

extension Meeting {
  static func identifier(_ reader: inout JSONReader) throws(InputError) -> [UInt8] {
    try reader.hexadecimal("meeting", byteCounts: identifierByteCount...identifierByteCount)
  }
}
