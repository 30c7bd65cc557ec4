// Threads for work that waits on sockets.

import Foundation

/// Runs `body` on a thread of its own, which nobody waits for.
func runInBackground(_ body: @escaping @Sendable () -> Void) { Thread.detachNewThread(body) }

/// Lets one second pass on this thread.
func pauseOneSecond() { Thread.sleep(forTimeInterval: 1) }

/// Lets a moment pass on this thread, for what is not worth a signal.
func pauseShortly() { Thread.sleep(forTimeInterval: 0.02) }
