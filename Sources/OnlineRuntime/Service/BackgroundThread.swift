// Threads for work that waits on sockets.

import Foundation

/// Runs `body` on a thread of its own, which nobody waits for.
func runInBackground(_ body: @escaping @Sendable () -> Void) { Thread.detachNewThread(body) }

/// Lets one second pass on this thread.
func pauseOneSecond() { Thread.sleep(forTimeInterval: 1) }
