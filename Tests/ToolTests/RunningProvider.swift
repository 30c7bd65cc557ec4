// A provider, and what its user is given, for the built tools.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

/// The roles of a converted OPT of one layer, with sessions of two tokens and two new ones.
struct ProviderFiles {
  static let promptCapacity = 2
  static let newCapacity = 2

  let folder: ScratchFolder

  /// - Parameter isInMemory: For processes that are killed: they lose nothing that they have written.
  init(sessionCount: Int, isInMemory: Bool = false) throws {
    folder = try ScratchFolder(isInMemory: isInMemory)
    try Tool.succeed(
      "lodge-model",
      [
        "share", "\(OneLayer.model.get())/model.lodge", "--deployment", "provider-user", "--out",
        folder.file("roles"),
      ])
    try Tool.succeed(
      "lodge-deal",
      [
        folder.file("roles/dealer"), "--sessions", "0..<\(sessionCount)", "--prompt",
        "\(Self.promptCapacity)", "--new", "\(Self.newCapacity)", "--out",
        folder.file("correlations"),
      ])
  }

  /// The database of `party`, beside its files.
  func ledger(_ party: Int) -> String { folder.file("party\(party).ledger") }

  func ledgerOf(_ party: Int) throws -> SessionLedger {
    try SessionLedger(path: ledger(party), party: party)
  }

  func provider() throws -> PartyProcess {
    try PartyProcess(
      arguments: [
        "--party", "0", "--bundle", folder.file("roles/provider/provider.bundle"),
        "--correlations", folder.file("correlations/party0"), "--listen", "127.0.0.1:0",
        "--ledger", ledger(0),
      ], 0, peer: nil)
  }

  /// Arguments of a user that asks `address` for all that a session has.
  func userArguments(_ address: String, prompt: [Int]) throws -> [String] {
    let path = folder.file("prompt-\(UUID().uuidString).json")
    try Data("\(prompt)".utf8).write(to: URL(filePath: path))
    return [
      "--provider", address, "--bundle", folder.file("roles/user/user.bundle"),
      "--correlations", folder.file("correlations/party1"), "--ledger", ledger(1), "--tokens",
      path, "--new", "\(Self.newCapacity)",
    ]
  }
}
