// The functions of a recipe for the float interpreter: the approximated graph in float.

public import Bytes
public import Models

extension FunctionTable {
  /// The functions that `recipe`, which must be resolved, has for the nodes of `model`.
  ///
  /// Tables of 1/x and 1/sqrt(x) are left exact: they are nearer than single precision's products.
  /// - Throws: `InputError` where the recipe is not resolved.
  public init(_ model: Model, recipe: Recipe) throws(InputError) {
    self.init()
    for (index, node) in model.nodes.enumerated() {
      if case .attention(_, _, _, let settings) = node.operation, let cap = settings.softCap {
        let function = try recipe.softCap(cap, at: node)
        softCaps[node.name] = { function($0) }
      }
      switch try recipe.form(of: index, in: model) {
      case .activation(let function): activations[node.name] = { function($0) }
      case .softmax(let form): softmaxes[node.name] = { form.apply(&$0) }
      case .normalisation(.affine(let factor)):
        reciprocalSquareRoots[node.name] = { _ in factor }
      case .normalisation(.exact), .permuted, nil: break
      }
    }
  }
}
