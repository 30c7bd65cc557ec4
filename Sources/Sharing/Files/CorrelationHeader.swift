// What a session file is for, as its header and its manifest say it.

public import Bytes
import Models
public import Program

/// What a correlation file is for; every field is checked before anything of it is used.
public struct CorrelationHeader: Equatable, Sendable {
  /// 16 bytes that name the batch.
  public var batch: [UInt8]
  public var session: Int
  public var party: Int
  public var shape: SessionShape
  public var conversion: Conversion
  /// The public key, 32 bytes, of the user that the session is for, where one was named.
  public var user: [UInt8]?
  /// How many of two servers' files have the keys.
  public var keys: KeyCopies

  public init(
    batch: [UInt8], session: Int, party: Int, shape: SessionShape, conversion: Conversion,
    user: [UInt8]? = nil, keys: KeyCopies = .both
  ) {
    self.keys = keys
    self.batch = batch
    self.session = session
    self.party = party
    self.shape = shape
    self.conversion = conversion
    self.user = user
  }

  public var json: JSON {
    var members: [String: JSON] = conversion.members.merging(
      [
        "batch": .string(batch.hexadecimal), "session": .integer(session),
        "party": .integer(party), "kind": .string(shape.kind.rawValue),
        "promptCapacity": .integer(shape.promptCapacity),
        "newCapacity": .integer(shape.newCapacity),
      ]) { first, _ in first }
    if let user { members["user"] = .string(user.hexadecimal) }
    if keys != .both { members["keys"] = .string(keys.rawValue) }
    return .object(members)
  }

  public init(_ json: JSON, source: String, place: String = "") throws(InputError) {
    var reader = try JSONReader(json, source: source, place: place)
    batch = try reader.hexadecimal("batch", byteCount: 16)
    session = try reader.integer("session", in: 0...Int(UInt32.max) - 1)
    party = try reader.integer("party", in: 0...1)
    let kindText = try reader.string("kind")
    guard let kind = ModelKind(rawValue: kindText) else {
      throw reader.failure("kind", "\"\(kindText)\" is not a kind of model")
    }
    let prompt = try reader.integer("promptCapacity", in: 1...1 << 24)
    let new = try reader.integer("newCapacity", in: 0...1 << 24)
    guard (kind == .encoder) == (new == 0) else {
      throw reader.failure("newCapacity", "\(new) does not fit a \(kindText)")
    }
    shape = SessionShape(kind: kind, promptCapacity: prompt, newCapacity: new)
    conversion = try Conversion(&reader)
    user =
      reader.contains("user") ? try reader.hexadecimal("user", byteCount: 32) : nil
    guard user == nil || conversion.deployment == .providerUser else {
      throw reader.failure("user", "is of provider-user sessions only")
    }
    keys = .both
    if reader.contains("keys") {
      guard try reader.string("keys") == KeyCopies.once.rawValue else {
        throw reader.failure("keys", "is \"once\" or absent")
      }
      guard conversion.deployment != .providerUser else {
        throw reader.failure("keys", "is of two servers' sessions only")
      }
      keys = .once
    }
    try reader.finish()
  }
}

extension CorrelationHeader {
  /// Whose files have the keys of each operation.
  public func keyHolders(_ program: SecureProgram) -> KeyHolders {
    KeyHolders(program, shape, in: conversion.deployment, copies: keys)
  }

  /// Throws where the session is not for `party` of this conversion, or too long for its program.
  ///
  /// - Parameter path: The file that says so, for errors.
  public func check(
    party: Int, conversion: Conversion, program: SecureProgram, path: String
  ) throws(InputError) {
    guard self.party == party else {
      throw InputError(
        path, place: "party", "is for party \(self.party), this is party \(party)",
        hint: "give each party its own folder of correlations")
    }
    guard self.conversion.programDigest == conversion.programDigest else {
      throw InputError(
        path, place: "programDigest", "was dealt for another program than the bundle's")
    }
    guard self.conversion.identifier == conversion.identifier else {
      throw InputError(
        path, place: "conversion", "was dealt for another conversion than the bundle's")
    }
    guard shape.kind == program.kind, shape.rowCapacity <= program.maximumPositions else {
      throw InputError(
        path, place: "promptCapacity",
        "\(shape.rowCapacity) positions are more than the "
          + "model's \(program.maximumPositions)")
    }
    guard self.conversion.deployment == conversion.deployment else {
      throw InputError(
        path, place: "deployment",
        "was dealt for \(self.conversion.deployment.rawValue), the bundle is for "
          + "\(conversion.deployment.rawValue)")
    }
    try program.checkSizes(of: shape, source: path, place: "promptCapacity")
  }
}
