// Who runs the two parties, who deals for them, and what each of them holds.

/// The roles behind the parties and the dealer of a conversion.
///
/// The program is the same in all of them. A *blind* dealer holds U = W - D for every weight W, D from
/// a seed that both parties have; it deals shares of U r, to which each party adds D times its share
/// of the mask r: W r = U r + D [r]_0 + D [r]_1.
public enum Deployment: String, CaseIterable, Sendable {
  /// Two servers hold shares of the weights; the owner deals and knows them.
  case twoServer = "two-server"
  /// Two servers hold shares of the weights; whoever deals sees uniform words instead of them.
  case blindDealer = "blind-dealer"
  /// Party 0 provides the weights, which it knows, party 1 is the user, and the dealer is blind.
  case providerUser = "provider-user"

  /// Whether the dealer holds masked weights.
  public var isDealerBlind: Bool { self != .twoServer }

  /// Who party `party` is.
  public func role(ofParty party: Int) -> String {
    self == .providerUser ? ["provider", "user"][party] : "party \(party)"
  }

  /// Name of the bundle of `party`, without its folder.
  public func bundleName(ofParty party: Int) -> String {
    self == .providerUser ? "\(role(ofParty: party)).bundle" : "party\(party).bundle"
  }

  /// The folder of the files of `party` below that of the conversion, empty where roles have none of
  /// their own.
  public func folder(ofParty party: Int) -> String {
    switch self {
    case .twoServer: ""
    case .blindDealer: "party\(party)"
    case .providerUser: role(ofParty: party)
    }
  }

  /// The same for the dealer.
  public var dealerFolder: String { isDealerBlind ? "dealer" : "" }

  /// The same for what a client holds beside its tokens.
  public var clientFolder: String {
    switch self {
    case .twoServer: ""
    case .blindDealer: "client"
    case .providerUser: folder(ofParty: 1)
    }
  }
}
