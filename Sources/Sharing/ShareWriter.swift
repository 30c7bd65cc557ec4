// Splits a converted model into the files of its parties and its dealer.

public import Bytes
import Containers
import Foundation
public import Models
public import Program
import Randomness

/// Writes party0.bundle, party1.bundle, dealer.bundle and manifest.json into a folder.
public enum ShareWriter {
  /// What was written.
  public struct Result: Sendable {
    public var conversion: Conversion
    public var program: SecureProgram
    public var manifest: Manifest
    /// Ring elements of all shared weights.
    public var weightElementCount: Int
  }

  /// Shares the weights of `file` for the two-server deployment.
  ///
  /// W = W_0 + W_1 mod 2^64; of each weight one share comes from a party's seed and the other is
  /// written, so that both files have about the same size. Weights go through in small parts, whatever
  /// their size. `progress` is told how many ring elements are done at a time.
  public static func share(
    _ file: ModelFile, into folder: String, memory: MemoryBudget = .default,
    progress: (Int) -> Void = { _ in }
  ) throws(InputError) -> Result {
    guard !FilePaths.exists("\(folder)/manifest.json") else {
      throw InputError(
        folder, place: "manifest.json", "another conversion is here",
        hint: "its correlations would be lost with it: choose another folder, or remove this one")
    }
    let isNew = !FilePaths.exists(folder)
    let program = try file.program()
    let plan = SharePlan(
      program: program,
      conversion: Conversion(
        identifier: Array(Seed.random().bytes.prefix(16)), programDigest: program.digest))
    try Folder.make(folder)
    do throws(InputError) {
      return Result(
        conversion: plan.conversion, program: program,
        manifest: try write(plan, file, into: folder, memory: memory, progress: progress),
        weightElementCount: program.weights.reduce(0) { $0 + $1.elementCount })
    } catch {
      // A conversion without its manifest must not look like one.
      for name in SharePlan.fileNames {
        try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      }
      if isNew { unsafe rmdir(folder) }
      throw error
    }
  }

  private static func write(
    _ plan: SharePlan, _ file: ModelFile, into folder: String, memory: MemoryBudget,
    progress: (Int) -> Void
  ) throws(InputError) -> Manifest {
    let encoder = WeightEncoder(source: "model", weights: file)
    let program = plan.program
    let seeds = [Seed.random(), Seed.random()]
    let party0 = try plan.partyWriter("\(folder)/party0.bundle", party: 0)
    let party1 = try plan.partyWriter("\(folder)/party1.bundle", party: 1)
    let dealer = try plan.dealerWriter(
      "\(folder)/dealer.bundle", elementTypes: DealerBundle.elementTypes(program, encoder, memory))
    try party0.write("weightSeed", values: seeds[0].bytes)
    try party1.write("weightSeed", values: seeds[1].bytes)
    for (id, weight) in program.weights.enumerated() {
      let holder = plan.holders[id]
      let name = "weights/\(id)"
      let region = holder == 0 ? party0.region(of: name) : party1.region(of: name)
      let dealt = plan.multiplied.contains(id) ? dealer.region(of: name) : nil
      let stream = PartyBundle.seedShare(seeds[1 - holder], party: 1 - holder, weight: id)
      let parts = weight.parts(memory)
      try ConcurrentTasks.run(parts.count) { (index) throws(InputError) in
        let part = parts[index]
        let words = try encoder.encode(weight, in: part).words
        var share = stream.words(at: part.lowerBound, count: part.count)
        for index in words.indices { share[index] = words[index] &- share[index] }
        try region.write(share, atElement: part.lowerBound)
        if let dealt { try DealerBundle.write(words, to: dealt, atElement: part.lowerBound) }
      }
      progress(weight.elementCount)
    }
    var manifest = Manifest(
      conversion: plan.conversion, deployment: "two-server", files: [:],
      leakage: LeakageEntry.report(program))
    manifest.files["party0.bundle"] = try party0.finish()
    manifest.files["party1.bundle"] = try party1.finish()
    manifest.files["dealer.bundle"] = try dealer.finish()
    if program.clientInput == .embedding {
      manifest.files["client.bundle"] = try ClientBundle.write(
        to: "\(folder)/client.bundle", file: file, conversion: plan.conversion,
        memory: memory)
    }
    try AtomicFile.write(
      Array((manifest.json.indentedText + "\n").utf8), to: "\(folder)/manifest.json")
    return manifest
  }
}

/// Who writes which share, and the writers of the files.
private struct SharePlan {
  /// Everything that sharing writes, but the manifest.
  static let fileNames = ["party0.bundle", "party1.bundle", "dealer.bundle", "client.bundle"]

  let program: SecureProgram
  let conversion: Conversion
  /// The party that holds the written share of each weight.
  let holders: [Int]
  let multiplied: Set<WeightID>

  init(program: SecureProgram, conversion: Conversion) {
    self.program = program
    self.conversion = conversion
    multiplied = Set(program.multipliedWeights)
    // Largest first, each to the smaller file: the files end nearly equal.
    var holders = [Int](repeating: 0, count: program.weights.count)
    var written = [0, 0]
    let order = program.weights.indices.sorted {
      (program.weights[$0].elementCount, $1) > (program.weights[$1].elementCount, $0)
    }
    for id in order {
      let holder = written[0] <= written[1] ? 0 : 1
      holders[id] = holder
      written[holder] += program.weights[id].elementCount
    }
    self.holders = holders
  }

  private func dataset(_ id: WeightID, _ type: ElementType) -> DatasetDescription {
    let weight = program.weights[id]
    return DatasetDescription(
      name: "weights/\(id)", elementType: type, shape: [weight.rowCount, weight.columnCount],
      storage: .raw)
  }

  func partyWriter(_ path: String, party: Int) throws(InputError) -> ContainerWriter {
    let own = program.weights.indices.filter { holders[$0] == party }
    let storages = holders.map { holder -> JSON in
      .string((holder == party ? ShareStorage.full : .seed).rawValue)
    }
    let header: JSON = .object(
      conversion.members.merging([
        "party": .integer(party), "deployment": "two-server", "program": program.json,
        "storages": .array(storages),
      ]) { first, _ in first })
    return try ContainerWriter(
      path: path, kind: "bundle", header: header,
      datasets: [
        DatasetDescription(
          name: "weightSeed", elementType: .u8, shape: [Seed.byteCount], storage: .raw)
      ] + own.map { dataset($0, .u64) })
  }

  func dealerWriter(_ path: String, elementTypes: [WeightID: ElementType]) throws(InputError)
    -> ContainerWriter
  {
    try ContainerWriter(
      path: path, kind: "dealer",
      header: .object(conversion.members.merging(["program": program.json]) { first, _ in first }),
      datasets: multiplied.sorted().map { dataset($0, elementTypes[$0] ?? .i64) })
  }
}
