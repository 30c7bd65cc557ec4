// Whether the helpers of tools/ that need PyTorch can run.

public import Testing

/// Tools that run in the Python that LODGE_TORCH_PYTHON names, or in .venv where torch is there.
public enum TorchTool {
  /// Asked once: to import torch takes seconds.
  public static let isAvailable =
    (try? PythonTool("evaluate-functions").run(["--help"]).status) == 0
}

extension Trait where Self == ConditionTrait {
  /// The test runs only where PyTorch is found.
  public static var needsTorch: Self {
    .enabled(if: TorchTool.isAvailable, "PyTorch is not there: see tools/finetune")
  }
}
