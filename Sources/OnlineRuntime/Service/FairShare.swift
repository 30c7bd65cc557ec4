// Who gives way where more want a place than there are.

/// The places that connections may take, by who holds them: a key, or an address without keys.
///
/// Nobody takes a place from one who would then hold fewer: a newcomer without that right replaces
/// its own oldest, if it has one.
enum FairShare {
  /// What happens to a newcomer.
  enum Verdict: Equatable {
    case admitted
    /// The holder at this index gives way.
    case inPlaceOf(Int)
    case refused
  }

  /// - Parameters:
  ///   - holders: Who holds the places, oldest first.
  ///   - newcomer: Who wants one more.
  static func verdict<Name: Hashable>(
    _ newcomer: Name, among holders: [Name], capacity: Int
  ) -> Verdict {
    if holders.count < capacity { return .admitted }
    var counts: [Name: Int] = [:]
    for holder in holders { counts[holder, default: 0] += 1 }
    let own = counts[newcomer] ?? 0
    let most = counts.values.max() ?? 0
    let loser: (Name) -> Bool = own + 1 < most ? { counts[$0] == most } : { $0 == newcomer }
    return holders.firstIndex(where: loser).map(Verdict.inPlaceOf) ?? .refused
  }
}
