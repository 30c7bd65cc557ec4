// swift-tools-version: 6.2
import PackageDescription

let systemLibraries: [Target] = [
  .systemLibrary(name: "CHDF5", pkgConfig: "hdf5-serial", providers: [.apt(["libhdf5-dev"])]),
  .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
  .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
  .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
  .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
  .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
]

// Dependencies point down this list only: a module may use what stands above it.
let libraries: [Target] = [
  .target(name: "CRingKernels", cSettings: [.unsafeFlags(["-O3"])]),
  .target(name: "CFloatKernels", cSettings: [.unsafeFlags(["-O3"])]),
  .target(name: "CWipingHeap"),
  .target(name: "CProcess"),
  .target(name: "Bytes"),
  .target(name: "Rings", dependencies: ["CRingKernels"]),
  .target(name: "Randomness", dependencies: ["Bytes", "COpenSSL", "CRingKernels"]),
  .target(name: "Trust", dependencies: ["Bytes", "Randomness", "COpenSSL"]),
  .target(name: "HDF5Reading", dependencies: ["Bytes"]),
  .target(
    name: "Checkpoints", dependencies: ["Bytes", "CFloatKernels", "CZlib", "HDF5Reading"]),
  .target(name: "Models", dependencies: ["Bytes", "CFloatKernels", "Checkpoints", "COpenBLAS"]),
  .target(name: "Approximation", dependencies: ["Bytes", "Models", "COpenBLAS"]),
  .target(name: "Program", dependencies: ["Bytes", "Rings", "Models", "Approximation"]),
  .target(
    name: "Containers", dependencies: ["Bytes", "Randomness", "CHDF5", "CZstd", "HDF5Reading"]),
  .target(
    name: "Sparsity",
    dependencies: [
      "Bytes", "Randomness", "Checkpoints", "Models", "Approximation", "Containers",
    ]),
  .target(
    name: "Sharing",
    dependencies: [
      "Bytes", "Rings", "Randomness", "Trust", "CFloatKernels", "Checkpoints", "Models",
      "Approximation", "Program", "Containers",
    ]),
  .target(
    name: "Correlations",
    dependencies: [
      "Bytes", "Rings", "Randomness", "Trust", "CRingKernels", "Program", "Containers",
      "Sharing",
    ]),
  .target(
    name: "OnlineRuntime",
    dependencies: [
      "Bytes", "Rings", "Randomness", "Trust", "Program", "Containers", "Sharing",
      "Correlations", "CProcess", "CSQLite",
    ]),
  .target(
    name: "Validation",
    dependencies: [
      "Bytes", "Rings", "Randomness", "Models", "Approximation", "Sparsity", "Program", "Sharing",
      "Correlations", "OnlineRuntime",
    ]),
  .target(name: "Exports", dependencies: ["Bytes", "Rings", "Randomness", "Models"]),
  .target(name: "Tokenization", dependencies: ["Bytes"]),
  .target(name: "Arguments", dependencies: ["Bytes", "CProcess"]),
  .target(
    name: "Preparation",
    dependencies: [
      "Bytes", "Models", "Approximation", "Program", "Sharing", "Correlations", "Tokenization",
      "Arguments", "Trust",
    ]),
]

let toolModules: [Target.Dependency] = [
  "Bytes", "Rings", "Randomness", "Trust", "HDF5Reading", "Checkpoints", "Models",
  "Approximation", "Program", "Containers", "Sparsity", "Sharing", "Correlations", "OnlineRuntime",
  "Validation", "Exports", "Tokenization", "Arguments", "Preparation",
]

let tools = [
  "lodge-model", "lodge-deal", "lodge-party", "lodge-client", "lodge-check", "lodge-bench",
]

let package = Package(
  name: "lodge",
  products: tools.map { .executable(name: $0, targets: [$0]) },
  targets: systemLibraries + libraries
    // Every tool handles secrets: its freed memory is wiped.
    + tools.map {
      .executableTarget(
        name: $0,
        // The benchmark also measures kernels and libcrypto by themselves.
        dependencies: toolModules + ["CWipingHeap"]
          + ($0 == "lodge-bench" ? ["CRingKernels", "COpenSSL"] : []))
    }
    + [.target(name: "TestSupport", dependencies: toolModules, path: "Tests/TestSupport")]
    + [
      "Bytes", "Rings", "Randomness", "Trust", "Checkpoints", "Models", "Approximation",
      "Sparsity", "Program", "Containers", "Sharing", "Correlations", "OnlineRuntime", "Validation",
      "Tokenization", "Arguments", "Format", "Tool",
    ].map {
      .testTarget(
        name: "\($0)Tests",
        dependencies: toolModules + ["TestSupport", "CFloatKernels", "CRingKernels"])
    }
)

let strictSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let cTargets = ["CRingKernels", "CFloatKernels", "CWipingHeap", "CProcess"]
for target in package.targets
where target.type != .system && !cTargets.contains(target.name) {
  target.swiftSettings = strictSettings
}
