// Why a session cannot be used, by what that means for it and for the others.

public import Bytes
import Glibc

/// What stands against using one session for one client.
public struct SessionFault: Error {
  public enum Kind: String, Sendable {
    /// It was used before; it never can be again.
    case used
    /// Its file is damaged or does not belong here: it never can be used.
    case damaged
    /// Its file cannot be read now; others may do, and later this one.
    case unavailable
    /// The ledger or the machine fails: no session can be used until that is mended.
    case machine
    /// Nothing is wrong with it: the client left, or wants what there is not.
    case client
  }

  public var kind: Kind
  public var error: InputError

  public init(_ kind: Kind, _ error: InputError) {
    self.kind = kind
    self.error = error
  }

  /// A file that could not be opened: what it holds is at fault unless the system says otherwise.
  public init(opening error: InputError) {
    switch error.systemCode {
    case nil: self.init(.damaged, error)
    case EMFILE, ENFILE, ENOMEM, ENOSPC, EDQUOT, EROFS, EAGAIN: self.init(.machine, error)
    default: self.init(.unavailable, error)
    }
  }
}

/// A fault of the machine, which is said once, and once more when it is gone.
struct StandingFault {
  private var causes: Set<String> = []

  /// Whether `error` has not been said yet.
  mutating func isNew(_ error: InputError) -> Bool { causes.insert(error.cause).inserted }

  /// What has passed, once; nil where nothing was wrong.
  mutating func clear() -> String? {
    defer { causes = [] }
    return causes.sorted().first
  }
}
