// SIGTERM and SIGINT as a request to stop cleanly.

import Dispatch
import Glibc

/// Calls back when the process is asked to stop, for as long as this object lives.
public final class TerminationSignals {
  private let sources: [any DispatchSourceSignal]

  /// - Parameter stop: Called on a background queue at SIGTERM and SIGINT.
  public init(stop: @escaping @Sendable () -> Void) {
    sources = [SIGTERM, SIGINT].map { number in
      _ = signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler(handler: stop)
      source.resume()
      return source
    }
  }

  deinit { for source in sources { source.cancel() } }
}
