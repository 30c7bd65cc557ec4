// Skips tests that need the models beside the repository, saying so.

public import Testing

extension Trait where Self == ConditionTrait {
  /// The test runs only where `Repository.sharedModels` is there.
  public static var needsSharedModels: Self {
    .enabled(if: Repository.sharedModels != nil, "the shared models are not beside the repository")
  }
}
