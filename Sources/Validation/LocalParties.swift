// Both parties of a conversion as threads of this process, over loopback TCP.

public import Bytes
import Foundation
public import OnlineRuntime

/// Two services on free loopback ports; for benchmarks, validation and tests.
public final class LocalParties: Sendable {
  public let addresses: [Address]
  private let services: [PartyService]
  private let running = DispatchGroup()

  /// Starts both parties on the bundles in `shares` and the batch in `correlations`.
  ///
  /// Ledgers are `ledger0` and `ledger1` in `shares`.
  ///
  /// - Parameter observe: Is told what every step opens, as party 0 sees it.
  public init(shares: String, correlations: String, observe: OpeningObserver? = nil)
    throws(InputError)
  {
    var services: [PartyService] = []
    for party in 0..<2 {
      let provider = try BundleProvider(
        party: party, bundlePath: "\(shares)/party\(party).bundle",
        correlationFolder: "\(correlations)/party\(party)",
        observe: party == 0 ? observe : nil)
      // Each takes a port that is free; party 1 dials, and party 0 need not know where it is.
      let anyPort = Address(host: "127.0.0.1", port: 0)
      let service = try PartyService(
        identity: provider.identity,
        configuration: PartyConfiguration(
          listen: anyPort, peer: services.first?.address ?? anyPort), log: { _ in })
      running.enter()
      Thread { [running] in
        do {
          try service.run(
            provider: provider,
            ledger: SessionLedger(path: "\(shares)/ledger\(party)", party: party))
        } catch { service.stop() }
        running.leave()
      }.start()
      services.append(service)
    }
    addresses = services.map(\.address)
    self.services = services
  }

  deinit { stop() }

  /// Stops both parties and waits until they have closed their ledgers, so that their files may go.
  public func stop() {
    for service in services { service.stop() }
    _ = running.wait(timeout: .now() + .seconds(10))
  }

  /// One session: evaluates `prompt`, and generates `newCount` tokens (0 for an encoder).
  ///
  /// With `forced`, those tokens are fed instead of the chosen ones.
  public func generate(prompt: [Int], newCount: Int, forced: [Int] = []) throws(InputError)
    -> SecureGeneration.Result
  {
    let session = try ClientSession.begin(
      party0: addresses[0], party1: addresses[1], promptCount: prompt.count, newCount: newCount)
    return try SecureGeneration(session: session, tables: nil).run(
      prompt: prompt, newCount: newCount, forced: forced)
  }
}
