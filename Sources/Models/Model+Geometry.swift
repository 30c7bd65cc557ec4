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
    case .layerNorm(_, let gamma, let beta, _):
      return sameWidth ?? unexpected(gamma, [width]) ?? unexpected(beta, [width])
    case .rmsNorm(_, let gamma, _):
      return sameWidth ?? unexpected(gamma, [width])
    case .linear(_, let weight, let bias):
      return unexpected(weight, [width] + inputWidths) ?? unexpected(bias, [width])
    case .rotary(_, let headCount, let base, let dimensions, let layout):
      if let problem = sameWidth ?? isNotDivided(by: headCount) { return problem }
      guard dimensions.isMultiple(of: layout == .twoPositions ? 4 : 2),
        dimensions <= width / headCount
      else {
        return "turns \(dimensions) elements of heads of \(width / headCount)"
      }
      if layout == .twoPositions, contextMarkers == nil {
        return "turns by two positions in a model without context markers"
      }
      // Angles of a smaller base would exceed one radian a position.
      return (1...1e12).contains(base) ? nil : "has the base \(base)"
    case .attention(_, _, _, let headCount, let keyHeadCount, _):
      if let problem = isNotDivided(by: headCount) { return problem }
      guard headCount.isMultiple(of: keyHeadCount) else {
        return "has \(keyHeadCount) key heads for \(headCount) query heads"
      }
      let keyWidth = width / headCount * keyHeadCount
      return inputWidths == [width, keyWidth, keyWidth]
        ? nil : "reads widths \(inputWidths), expected \([width, keyWidth, keyWidth])"
    case .activation, .add, .multiply: return sameWidth
    }
  }
}
