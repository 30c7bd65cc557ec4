// Whether widths, heads and weight shapes of a graph fit together: a stored graph is not trusted.

extension Model {
  /// What does not fit at node `index`, or nil. All nodes that it reads must stand before it.
  func geometryProblem(ofNode index: Int) -> String? {
    let node = nodes[index]
    let width = node.width
    let inputWidths = node.operation.inputs.map { nodes[$0].width }
    func unexpected(_ name: String?, _ shape: [Int]) -> String? {
      guard let name, let weight = weights.first(where: { $0.name == name }),
        weight.shape != shape
      else { return nil }
      return "reads \(name) of shape \(weight.shape), expected \(shape)"
    }
    /// Unless the table has at least `count` rows.
    func tooShort(_ name: String?, _ count: Int) -> String? {
      guard let name, let weight = weights.first(where: { $0.name == name }) else { return nil }
      return unexpected(name, [max(count, weight.shape[0]), width])
    }
    func isNotDivided(by headCount: Int) -> String? {
      width.isMultiple(of: headCount) ? nil : "has \(headCount) heads for a width of \(width)"
    }
    let sameWidth =
      inputWidths.allSatisfy { $0 == width }
      ? nil : "writes a width of \(width) and reads \(inputWidths)"

    switch node.operation {
    case .embed(let tokens, let positions, let offset, let segments):
      return unexpected(tokens, [vocabularySize, width])
        ?? tooShort(positions, maximumPositions + offset) ?? tooShort(segments, 1)
    case .layerNorm(_, let normalisation), .rmsNorm(_, let normalisation):
      let groups = normalisation.groupCount
      if let problem = sameWidth { return problem }
      guard groups > 0, width.isMultiple(of: groups) else {
        return "has \(groups) groups for a width of \(width)"
      }
      guard normalisation.epsilon >= 0, normalisation.epsilon.isFinite else {
        return "has the epsilon \(normalisation.epsilon)"
      }
      for name in normalisation.weights where unexpected(name, [width]) != nil {
        if let problem = unexpected(name, [width / groups]) { return problem }
      }
      return nil
    case .linear(_, let weight, let bias):
      return unexpected(weight, [width] + inputWidths) ?? unexpected(bias, [width])
    case .rotary(_, let headCount, let rotary):
      if let problem = sameWidth ?? isNotDivided(by: headCount) { return problem }
      if rotary.layout == .twoPositions, contextMarkers == nil {
        return "turns by two positions in a model without context markers"
      }
      guard !rotary.frequencies.isEmpty, rotary.dimensions <= width / headCount else {
        return "turns \(rotary.dimensions) elements of heads of \(width / headCount)"
      }
      if let frequency = rotary.frequencies.first(where: { !(0...1).contains($0) }) {
        return "turns by \(frequency) radians a position"
      }
      return (0x1p-10...0x1p10).contains(rotary.magnitude)
        ? nil : "has the magnitude \(rotary.magnitude)"
    case .attention(_, _, _, let settings):
      let (headCount, keyHeadCount) = (settings.headCount, settings.keyHeadCount)
      if let problem = isNotDivided(by: headCount) { return problem }
      guard headCount.isMultiple(of: keyHeadCount) else {
        return "has \(keyHeadCount) key heads for \(headCount) query heads"
      }
      let keyWidth = width / headCount * keyHeadCount
      guard inputWidths == [width, keyWidth, keyWidth] else {
        return "reads widths \(inputWidths), expected \([width, keyWidth, keyWidth])"
      }
      return problem(of: settings)
        ?? settings.biasTable.flatMap { unexpectedBiasTable($0, settings) }
    case .activation, .add, .multiply: return sameWidth
    case .gates(let input):
      if case .linear = nodes[input].operation { return sameWidth }
      return "decides by what no linear layer writes"
    case .gated(_, let gates):
      guard case .gates = nodes[gates].operation else { return "is gated by a value of no gates" }
      return inputWidths[0] == width && width.isMultiple(of: inputWidths[1])
        ? nil : "has \(inputWidths[1]) gates for widths of \(inputWidths[0]) and \(width)"
    case .scale(_, let factor):
      return sameWidth ?? (factor.isFinite ? nil : "has the factor \(factor)")
    case .softCap(_, let cap):
      return sameWidth ?? (cap > 0 && cap.isFinite ? nil : "has the cap \(cap)")
    case .pool:
      guard kind == .encoder else { return "pools the positions of a decoder" }
      return sameWidth
    }
  }

  private func problem(of settings: AttentionSettings) -> String? {
    if let window = settings.window, window < 1 { return "has a window of \(window)" }
    if let cap = settings.softCap, !(cap > 0 && cap.isFinite) { return "has the cap \(cap)" }
    switch settings.bias {
    case nil: return nil
    case .linear(let slopes):
      return slopes.count == settings.headCount && slopes.allSatisfy(\.isFinite)
        ? nil : "has \(slopes.count) slopes for \(settings.headCount) heads"
    case .relative(_, let buckets):
      guard kind == .encoder else { return "has buckets of distances in a decoder" }
      return buckets.count >= 4 && buckets.count.isMultiple(of: 4)
        && buckets.maximumDistance > buckets.count / 4
        ? nil : "has \(buckets.count) buckets up to distance \(buckets.maximumDistance)"
    }
  }

  private func unexpectedBiasTable(_ name: String, _ settings: AttentionSettings) -> String? {
    guard case .relative(_, let buckets)? = settings.bias,
      let weight = weights.first(where: { $0.name == name })
    else { return nil }
    let expected = [buckets.count, settings.headCount]
    return weight.shape == expected
      ? nil : "reads \(name) of shape \(weight.shape), expected \(expected)"
  }
}
