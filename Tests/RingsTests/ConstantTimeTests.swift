// Which instructions the kernels execute, and at which addresses, does not depend on secrets.

import Foundation
import Rings
import TestSupport
import Testing

/// What Tests/ConstantTime/check.c finds in the objects that this build links into the tools.
@Suite(.serialized) struct ConstantTimeTests {
  /// `memcheck` reports an error of the program with this status.
  private static let reported: Int32 = 99
  private static let armIsMissing: Int32 = 2

  /// Memcheck follows every bit of thresholds, payloads, roots and elements through key generation,
  /// evaluation and products; what memcheck has no instructions for is traced instead.
  @Test(.needs("valgrind"), .needs("clang"), arguments: KernelArm.tested)
  func nothingDependsOnSecrets(arm: KernelArm) throws {
    let check = try Check()
    let followed = try check.memcheck("memcheck", arm)
    guard followed.status == ConstantTimeTests.armIsMissing else {
      #expect(followed.status == 0, "\(arm): \(followed.text)")
      return
    }
    #expect(arm >= .avx512, "valgrind has this arm")
    let traced = try Command.run(check.path, ["trace", String(arm.rawValue)])
    #expect(traced.status == 0, "\(arm): \(traced.text)")
  }

  @Test(.needs("valgrind"), .needs("clang")) func aJumpOnASecretIsSeen() throws {
    let leaked = try Check().memcheck("leak", .portable)
    #expect(leaked.status == ConstantTimeTests.reported)
    #expect(leaked.text.contains("Conditional jump or move depends on uninitialised value"))
  }

  /// The compiled program.
  private struct Check {
    private let folder: ScratchFolder
    var path: String { folder.file("check") }

    init() throws {
      folder = try ScratchFolder()
      let build = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "CRingKernels.build")
      let objects = try FileManager.default.contentsOfDirectory(
        at: build, includingPropertiesForKeys: nil
      ).map(\.path).filter { $0.hasSuffix(".o") }
      try #require(!objects.isEmpty, "\(build.path) holds no objects")
      let compiled = try Command.run(
        "clang",
        [
          "-O2", "-Wall", "-Wextra", "-Werror", "-Wl,--strip-debug",
          "-I", Repository.root.appending(path: "Sources/CRingKernels/include").path,
          Repository.root.appending(path: "Tests/ConstantTime/check.c").path, "-o", path,
        ] + objects.sorted())
      try #require(compiled.status == 0, "\(compiled.text)")
    }

    func memcheck(_ mode: String, _ arm: KernelArm) throws -> Command.Outcome {
      try Command.run(
        "valgrind",
        ["--quiet", "--error-exitcode=\(reported)", path, mode, String(arm.rawValue)])
    }
  }
}

/// A program found on the path.
private enum Command {
  struct Outcome {
    var status: Int32
    var text: String
  }

  static func run(_ name: String, _ arguments: [String]) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [name] + arguments
    process.standardInput = FileHandle.nullDevice
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let text = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, text: String(decoding: text, as: UTF8.self))
  }
}

extension Trait where Self == ConditionTrait {
  /// The test runs only where program `name` is on the path.
  fileprivate static func needs(_ name: String) -> Self {
    .enabled("\(name) is not installed: run tools/setup") {
      (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
      }
    }
  }
}
