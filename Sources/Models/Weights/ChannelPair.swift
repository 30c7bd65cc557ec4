// Pairs of matrices between which channels can be larger on one side and smaller on the other.

/// A matrix whose rows write channels, and the matrix that reads them.
public struct ChannelPair: Equatable, Sendable {
  /// A matrix with the channel of each of its rows, or of its columns.
  public struct Side: Equatable, Sendable {
    public var weight: String
    /// Of rows; it is as large as they are.
    public var bias: String?
    /// Rows and columns.
    public var shape: [Int]
    public var readsColumns: Bool
    public var channels: [Int]
  }

  /// Name of the node that writes the channels.
  public var node: String
  public var first: Side
  public var second: Side
  /// Whether multiplying a channel of one side by a number and dividing that of the other by it
  /// leaves the function as it is. Where it does not, zeros of `first` still write zeros.
  public var isHomogeneous: Bool

  public var channelCount: Int { (first.channels.max() ?? -1) + 1 }
}

extension Model {
  /// Values and what reads attention's output, keys and queries, and the layers of feed-forwards,
  /// where nothing stands between that all channels decide about together.
  public var channelPairs: [ChannelPair] {
    var finder = PairFinder(self)
    for index in nodes.indices { finder.visit(index) }
    return finder.pairs
  }
}

private struct PairFinder {
  private struct Linear {
    var node: Int
    var weight: String
    var bias: String?
  }

  private let model: Model
  private let shapes: [String: [Int]]
  private var readers: [[Int]]
  private var uses: [String: Int] = [:]
  private(set) var pairs: [ChannelPair] = []

  init(_ model: Model) {
    self.model = model
    shapes = Dictionary(
      model.weights.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    readers = Array(repeating: [], count: model.nodes.count)
    for (index, node) in model.nodes.enumerated() {
      for input in node.operation.inputs { readers[input].append(index) }
      switch node.operation {
      case .linear(_, let weight, let bias):
        for name in [weight, bias].compactMap({ $0 }) { uses[name, default: 0] += 1 }
      case .embed(let tokens, let positions, _, let segments):
        for name in [tokens, positions, segments].compactMap({ $0 }) { uses[name, default: 0] += 1 }
      default: break
      }
    }
  }

  mutating func visit(_ index: Int) {
    switch model.nodes[index].operation {
    case .attention(let query, let key, let value, let settings):
      let width = model.nodes[index].width / settings.headCount
      let group = settings.headCount / settings.keyHeadCount
      let keyChannels = Array(0..<settings.keyHeadCount * width)
      let queryChannels = (0..<settings.headCount * width).map { column in
        column / width / group * width + column % width
      }
      if let first = linear(value, readBy: index), let second = reader(of: index) {
        add(first, keyChannels, second, queryChannels, readsColumns: true, isHomogeneous: true)
      }
      addScores(query, key, attention: index, width, keyChannels, queryChannels)
    case .linear(let input, _, _): visit(input, of: index)
    default: break
    }
  }

  /// Queries and keys, of which rotary positions turn two elements together.
  private mutating func addScores(
    _ query: Int, _ key: Int, attention: Int, _ width: Int, _ keyChannels: [Int],
    _ queryChannels: [Int]
  ) {
    var partner = Array(0..<width)
    var (firstReader, secondReader, key, query) = (attention, attention, key, query)
    if case .rotary(let turnedKey, _, let positions) = model.nodes[key].operation {
      guard case .rotary(let turnedQuery, _, positions) = model.nodes[query].operation,
        readers[key] == [attention], readers[query] == [attention]
      else { return }
      let turned = min(positions.dimensions, width)
      switch positions.layout {
      case .halves: for element in turned / 2..<turned { partner[element] -= turned / 2 }
      case .pairs: for element in 0..<turned { partner[element] &= ~1 }
      case .twoPositions: return
      }
      (firstReader, secondReader, key, query) = (key, query, turnedKey, turnedQuery)
    }
    guard let first = linear(key, readBy: firstReader),
      let second = linear(query, readBy: secondReader)
    else { return }
    func paired(_ channels: [Int]) -> [Int] {
      channels.map { $0 / width * width + partner[$0 % width] }
    }
    add(
      first, paired(keyChannels), second, paired(queryChannels), readsColumns: false,
      isHomogeneous: true)
  }

  /// What stands between two linear layers of a feed-forward.
  private mutating func visit(_ input: Int, of index: Int) {
    guard let second = linear(index) else { return }
    func add(_ value: Int, readBy reader: Int, isHomogeneous: Bool) {
      guard let first = linear(value, readBy: reader) else { return }
      let channels = Array(0..<model.nodes[value].width)
      self.add(
        first, channels, second, channels, readsColumns: true, isHomogeneous: isHomogeneous)
    }
    guard readers[input] == [index] else { return }
    var input = input
    if case .gated(let value, _) = model.nodes[input].operation, readers[value] == [input] {
      input = value
    }
    switch model.nodes[input].operation {
    case .activation(let value, let function):
      add(value, readBy: input, isHomogeneous: function == .relu)
    case .multiply(let left, let right):
      add(left, readBy: input, isHomogeneous: true)
      add(right, readBy: input, isHomogeneous: true)
    default: break
    }
  }

  /// The linear node `index`, whose weights nothing else has.
  private func linear(_ index: Int) -> Linear? {
    guard case .linear(_, let weight, let bias) = model.nodes[index].operation,
      uses[weight] == 1, bias.map({ uses[$0] == 1 }) ?? true
    else { return nil }
    return Linear(node: index, weight: weight, bias: bias)
  }

  private func linear(_ index: Int, readBy reader: Int) -> Linear? {
    readers[index] == [reader] ? linear(index) : nil
  }

  /// The one linear node that reads value `index`, with gates or without.
  private func reader(of index: Int) -> Linear? {
    guard readers[index].count == 1 else { return nil }
    let reader = readers[index][0]
    if case .gated(index, _) = model.nodes[reader].operation { return self.reader(of: reader) }
    return linear(reader)
  }

  private mutating func add(
    _ first: Linear, _ firstChannels: [Int], _ second: Linear, _ secondChannels: [Int],
    readsColumns: Bool, isHomogeneous: Bool
  ) {
    guard let firstShape = shapes[first.weight], let secondShape = shapes[second.weight],
      firstShape.count == 2, secondShape.count == 2, firstShape[0] == firstChannels.count,
      secondShape[readsColumns ? 1 : 0] == secondChannels.count
    else { return }
    pairs.append(
      ChannelPair(
        node: model.nodes[first.node].name,
        first: .init(
          weight: first.weight, bias: first.bias, shape: firstShape, readsColumns: false,
          channels: firstChannels),
        second: .init(
          weight: second.weight, bias: readsColumns ? nil : second.bias, shape: secondShape,
          readsColumns: readsColumns, channels: secondChannels),
        isHomogeneous: isHomogeneous))
  }
}
