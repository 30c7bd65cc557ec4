// Settles what depends on the model and its calibration, so that lowering needs nothing else.

public import Bytes
public import Models

extension Recipe {
  /// The recipe with a choice for every replaced node of `model`, each with all its coefficients.
  ///
  /// `density` gives what was seen of a quantity at a node; `cost` the seconds that a form at a
  /// node costs (see `NodeStatistics.cost`).
  /// - Throws: `InputError` for layers and nodes that the model does not have, for inputs that were
  ///   not observed, and where a replacement is not made for the inputs that were, unless the
  ///   recipe says what to do.
  public func resolved(
    for model: Model, densities: any DensitySource,
    cost: @escaping @Sendable (_ node: Int, ReplacementForm) throws(InputError) -> Double
  ) throws(InputError) -> Recipe {
    try checkNames(model)
    var result = self
    for (index, node) in model.nodes.enumerated() {
      guard let choice = choice(for: node), let operationClass = node.operation.operationClass
      else { continue }
      let statistics = try statistics(of: index, in: model, densities: densities) {
        (form) throws(InputError) in try cost(index, form)
      }
      var settled = choice
      settled.replacement = try choice.replacement.resolved(for: statistics)
      settled.clamp = try clamp(settled, statistics)
      result.choose(settled, for: operationClass, atNode: node.name)
    }
    return result
  }

  private func checkNames(_ model: Model) throws(InputError) {
    let replaced = model.nodes.filter { $0.operation.operationClass != nil }
    for (name, choices) in nodes.sorted(by: { $0.key < $1.key }) {
      guard let node = replaced.first(where: { $0.name == name }) else {
        let nearest = nearestName(to: name, among: replaced.map(\.name))
        throw InputError(
          "recipe", place: "nodes.\(name)", "the model has no such non-linear operation",
          hint: nearest.map { "did you mean \"\($0)\"?" } ?? "")
      }
      for operationClass in choices.keys where operationClass != node.operation.operationClass {
        throw InputError(
          "recipe", place: "nodes.\(name).\(operationClass.rawValue)",
          "the operation is of the class \(node.operation.operationClass?.rawValue ?? "")")
      }
    }
    let last = model.nodes.compactMap(\.layer).max() ?? -1
    if let layer = layers.keys.max(), layer > last {
      throw InputError("recipe", place: "layers.\(layer)", "the model has \(last + 1) layers")
    }
  }

  /// What is known of node `index`, which must be one that is replaced; without `cost` all forms
  /// cost nothing.
  /// - Throws: `InputError` for inputs that were not observed.
  public func statistics(
    of index: Int, in model: Model, densities: any DensitySource,
    cost: @escaping @Sendable (ReplacementForm) throws(InputError) -> Double = { _ in 0 }
  ) throws(InputError) -> NodeStatistics {
    let node = model.nodes[index]
    guard let site = model.site(of: index) else {
      preconditionFailure("\(node.name) is not replaced")
    }
    func density(_ name: String, _ quantity: ObservedQuantity) throws(InputError) -> InputDensity {
      guard let density = densities.density(name, quantity) else {
        throw InputError(
          "calibration", place: name, "no \(quantity.rawValue) was observed",
          hint: "calibrate this model with `lodge-model approximate`")
      }
      return density
    }
    switch node.operation {
    case .activation(let input, _):
      return NodeStatistics(
        name: node.name, site: site, inputs: try density(model.nodes[input].name, .output),
        reach: densities.bound(of: model.nodes[input].name, .output), headroom: headroom,
        fractionalBits: fractionalBits, cost: cost)
    case .attention:
      return NodeStatistics(
        name: node.name, site: site, inputs: try density(node.name, .scores),
        centredScores: densities.density(node.name, .centredScores), headroom: headroom,
        fractionalBits: fractionalBits, cost: cost)
    case .layerNorm(_, let settings), .rmsNorm(_, let settings):
      return NodeStatistics(
        name: node.name, site: site, inputs: try density(node.name, .variance),
        epsilon: settings.epsilon, headroom: headroom,
        fractionalBits: fractionalBits, cost: cost)
    case .embed, .linear, .rotary, .add, .multiply, .scale, .softCap, .pool, .gates, .gated:
      preconditionFailure("\(node.name) has a site and nothing to replace")
    }
  }

  /// The range that inputs are clipped to, where they go beyond what the replacement is made for.
  private func clamp(_ choice: ReplacementChoice, _ node: NodeStatistics) throws(InputError)
    -> ClosedRange<Double>?
  {
    let valid = choice.replacement.validRange(for: node.site.operationClass)
    let seen = node.inputs.range
    guard choice.clamp == nil,
      seen.lowerBound < valid.lowerBound || seen.upperBound > valid.upperBound
    else { return choice.clamp }
    switch outsideRange {
    case .extend: return nil
    case .clamp:
      // A side without an end takes all that there may be: recipes hold finite numbers.
      let ends = [seen.lowerBound, seen.upperBound, valid.lowerBound, valid.upperBound]
      let reach = 2 * headroom * (ends.filter(\.isFinite).map(abs).max() ?? 1)
      return max(valid.lowerBound, -reach)...min(valid.upperBound, reach)
    case .refuse:
      throw InputError(
        "recipe", place: node.name,
        "inputs from \(seen.lowerBound) to \(seen.upperBound) leave the range "
          + "\(valid.lowerBound) to \(valid.upperBound) of \"\(choice.name)\"",
        hint: "clip them with --clamp or \"outsideRange\": \"clamp\", or choose another replacement"
      )
    }
  }
}

extension Calibration: DensitySource {
  /// The histogram, or the range with values spread evenly over it where no histogram was taken.
  public func density(_ node: String, _ quantity: ObservedQuantity) -> InputDensity? {
    guard let range = ranges[node]?[quantity] else { return nil }
    guard let histogram = histograms[node]?[quantity], histogram.count > 0 else {
      return InputDensity(uniformOn: range)
    }
    return InputDensity(histogram, range: range)
  }

  public func bound(of node: String, _ quantity: ObservedQuantity) -> Double? {
    try? bound(node, quantity)
  }
}
