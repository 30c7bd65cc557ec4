// Frames that may not come between a provider and its user: neither keeps anything of them.

import Bytes
import Containers
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite struct HostileUserTests {
  /// What the connection is about when the frame comes.
  private enum State: CaseIterable {
    case beforeHello, beforeBegin, beforeUsed, beforeAcceptance, inSession, inStep
  }

  private static let nothingUsed = #"{"batch": "", "ranges": [], "more": false}"#

  /// What a real user says first.
  private static func userHello(_ files: ProviderFiles) throws -> String {
    let listener = try FrameListener()
    let user = try RunningTool(
      "lodge-client", files.userArguments("127.0.0.1:\(listener.port)", prompt: [1]))
    defer { user.kill() }
    return try listener.accept().receive(.hello).text
  }

  /// Goes to `state` as a user of the provider at `port`.
  private static func user(
    _ state: State, port: UInt16, hello: String, request: Int
  ) throws -> FrameSocket {
    let user = try FrameSocket(port: port)
    if state == .beforeHello { return user }
    try user.send(.hello, hello)
    _ = try user.receive(.hello)
    if state == .beforeBegin { return user }
    try user.send(
      .begin, #"{"request": "\#(String(format: "%032x", request))", "prompt": 1, "new": 1}"#)
    while try user.receive(.used, skipping: .waiting).text.contains(#""more":true"#) {}
    if state == .beforeUsed { return user }
    try user.send(.used, nothingUsed)
    let proposal = try user.receive(.proposal, skipping: .waiting)
    if state == .beforeAcceptance { return user }
    var reader = try JSONReader(
      JSON.parse(proposal.payload, source: "proposal"), source: "proposal")
    let (batch, session) = (try reader.string("batch"), try reader.integer("session"))
    try user.send(.acceptance, #"{"batch": "\#(batch)", "session": \#(session)}"#)
    _ = try user.receive(.ready)
    if state == .inSession { return user }
    try user.send(.step, FrameSocket.firstStep(rowCount: 1))
    return user
  }

  /// A terabyte of keys, which only a provider sends, and of words in every state of a provider.
  @Test func aProviderKeepsNothingOfThem() throws {
    let files = try ProviderFiles(sessionCount: 12)
    let hello = try Self.userHello(files)
    let provider = try files.provider()
    let port = try Address(provider.address).port
    var request = 0
    for state in State.allCases {
      for kind in [FrameSocket.Kind.keys, .words] {
        request += 1
        let before = try provider.tool.peakMemory()
        let user = try Self.user(state, port: port, hello: hello, request: request)
        try user.send(user.header(kind, byteCount: 1 << 40))
        // How long an opening may be that comes before its step, the step tells.
        #expect(user.flood(.seconds(30)), "\(state), \(kind)")
        let grown = try provider.tool.peakMemory() - before
        #expect(grown < 32 << 20, "\(state), \(kind): \(grown >> 20) MiB")
      }
    }
    // It serves as before.
    try Tool.succeed("lodge-client", files.userArguments(provider.address, prompt: [3, 1]))
    try provider.stop()
  }

  /// What a user gets from a false provider in place of the right frame.
  private enum Trick: CaseIterable {
    case keysBeforeHello, keysInPlaceOfUsed, keysInPlaceOfProposal, keysInPlaceOfReady
    case tooManyKeys, noKeys, wordsInPlaceOfKeys, keysInPlaceOfWords
  }

  /// Too many keys, none, keys at any other time: one error each, and the session is burned from the
  /// moment at which it was agreed on.
  @Test(arguments: Trick.allCases)
  private func aUserKeepsNothingOfThem(trick: Trick) throws {
    let files = try ProviderFiles(sessionCount: 1)
    let hello = try Self.userHello(files).replacingOccurrences(
      of: #""party":1"#, with: #""party":0"#)
    let listener = try FrameListener()
    let user = try RunningTool(
      "lodge-client", files.userArguments("127.0.0.1:\(listener.port)", prompt: [1]))
    let provider = try listener.accept()
    let key = try Self.agree(provider, files, hello: hello, until: trick)
    switch trick {
    case .noKeys: try provider.send(.keys, [])
    case .wordsInPlaceOfKeys: try provider.send(provider.header(.words, byteCount: 1 << 40))
    default: try provider.send(provider.header(.keys, byteCount: 1 << 40))
    }
    if trick != .noKeys { #expect(provider.flood(.seconds(30))) }
    let status = try user.wait(.seconds(20))
    let messages = try user.messages
    #expect(status == 1, "\(messages)")
    #expect(messages.components(separatedBy: "lodge-client: error: ").count == 2, "\(messages)")
    guard let key else { return }
    let state = try files.ledgerOf(1).state(of: key)
    #expect(state == .burned)
  }

  /// Says all that a provider says before `trick`; the session, where the user has claimed it.
  private static func agree(
    _ provider: FrameSocket, _ files: ProviderFiles, hello: String, until trick: Trick
  ) throws -> SessionKey? {
    _ = try provider.receive(.hello)
    if trick == .keysBeforeHello { return nil }
    try provider.send(.hello, hello)
    var reader = try JSONReader(
      JSON.parse(provider.receive(.begin).payload, source: "begin"), source: "begin")
    let request = try reader.string("request")
    if trick == .keysInPlaceOfUsed { return nil }
    try provider.send(.used, nothingUsed)
    _ = try provider.receive(.used)
    if trick == .keysInPlaceOfProposal { return nil }
    let key = SessionKey(batch: try Servers(converted: files.folder).batch(), session: 0)
    let counts = #""prompt": 1, "new": \#(ProviderFiles.newCapacity)"#
    try provider.send(
      .proposal,
      #"{"request": "\#(request)", \#(counts), "client": "", "batch": "\#(key.batch)", "session": 0}"#
    )
    _ = try provider.receive(.acceptance)
    if trick == .keysInPlaceOfReady { return key }
    try provider.send(.ready, #"{"batch": "\#(key.batch)", "session": 0}"#)
    guard trick == .keysInPlaceOfWords else { return key }
    for keys in try Self.keys(files) { try provider.send(.keys, keys) }
    _ = try provider.receive(.step)
    return key
  }

  /// The keys of the session as the provider has them, by operation.
  private static func keys(_ files: ProviderFiles) throws -> [[UInt8]] {
    let reader = try ContainerReader(
      path: files.folder.file("correlations/party0/000000.corr"), kind: "correlations",
      verifying: true)
    return try reader.datasets.filter { $0.name.hasSuffix("/keys") }
      .sorted { number($0.name) < number($1.name) }
      .map { try reader.read($0.name, as: UInt8.self, shape: $0.shape) }
  }

  /// N of "operations/N/keys".
  private static func number(_ name: String) -> Int {
    name.split(separator: "/").compactMap { Int($0) }.first ?? 0
  }
}
