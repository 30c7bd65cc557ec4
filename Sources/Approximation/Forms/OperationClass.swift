// The classes of operations that recipes choose replacements for, and where one stands.

public import Models

/// A kind of non-linear operation of model graphs.
public enum OperationClass: String, Sendable, CaseIterable {
  case relu
  case gelu
  case geluTanh
  case silu
  case tanh
  case softmax
  case layerNorm
  case rmsNorm

  /// The exact function of an activation class, else nil.
  public var activation: Activation? {
    switch self {
    case .relu: .relu
    case .gelu: .gelu
    case .geluTanh: .geluTanh
    case .silu: .silu
    case .tanh: .tanh
    case .softmax, .layerNorm, .rmsNorm: nil
    }
  }

  public init(_ activation: Activation) {
    switch activation {
    case .relu: self = .relu
    case .gelu: self = .gelu
    case .geluTanh: self = .geluTanh
    case .silu: self = .silu
    case .tanh: self = .tanh
    }
  }
}

extension ModelOperation {
  /// The class that a recipe chooses a replacement for, or nil where nothing is replaced.
  public var operationClass: OperationClass? {
    switch self {
    case .layerNorm: .layerNorm
    case .rmsNorm: .rmsNorm
    case .attention: .softmax
    case .activation(_, let activation): OperationClass(activation)
    case .embed, .linear, .rotary, .add, .multiply, .scale, .softCap, .pool, .gates, .gated: nil
    }
  }
}

/// Where a replacement stands, as far as its function depends on it.
public struct ReplacementSite: Hashable, Sendable {
  public var operationClass: OperationClass
  /// Most keys of a row of attention scores; 1 for other classes.
  public var keyCount: Int
  /// What the function's values are multiplied by afterwards: the cap of a soft cap.
  public var reach: Double

  public init(_ operationClass: OperationClass, keyCount: Int = 1, reach: Double = 1) {
    self.operationClass = operationClass
    self.keyCount = keyCount
    self.reach = reach
  }

  /// How far above zero a score less its row's maximum may be: the secure maximum is found by a
  /// tree of comparisons and may be `scoreResolution` too small a level.
  public var scoreSlack: Double {
    var levels = 0
    while 1 << levels < keyCount { levels += 1 }
    return ReplacementSite.scoreResolution * Double(levels)
  }

  /// Comparisons of scores look no closer: softmax divides a missed maximum out.
  public static let scoreResolution = 0x1p-4
}

extension Model {
  /// The site of node `index`, or nil where nothing is replaced.
  public func site(of index: Int) -> ReplacementSite? {
    let operation = nodes[index].operation
    guard let operationClass = operation.operationClass else { return nil }
    guard case .attention(_, _, _, let settings) = operation else {
      return ReplacementSite(operationClass)
    }
    return ReplacementSite(operationClass, keyCount: maximumKeyCount(settings))
  }
}
