// Splits a converted model into the files of its parties and its dealer.

public import Bytes
import Containers
import Foundation
public import Models
public import Program
import Randomness
import Trust

/// Writes the bundles of both parties, the dealer and maybe the client into a folder, and their
/// manifests.
public enum ShareWriter {
  /// What was written.
  public struct Result: Sendable {
    public var conversion: Conversion
    public var program: SecureProgram
    public var manifest: Manifest
    /// The manifest of the dealer's bundle, which stays with it.
    public var dealerManifest: Manifest
    /// Ring elements of all shared weights.
    public var weightElementCount: Int
  }

  /// Shares the weights of `file` for the two-server deployment.
  ///
  /// W = W_0 + W_1 mod 2^64; of each weight one share comes from a party's seed and the other is
  /// written, so that both files have about the same size. Weights go through in small parts,
  /// whatever their size. `delivery` says who signs and for whom the parties' files are sealed.
  /// `progress` is told how many ring elements are done at a time.
  public static func share(
    _ file: ModelFile, into folder: String, memory: MemoryBudget = .default,
    delivery: Delivery = .plain, progress: (Int) -> Void = { _ in }
  ) throws(InputError) -> Result {
    guard !FilePaths.exists("\(folder)/\(Manifest.name)") else {
      throw InputError(
        folder, place: Manifest.name, "another conversion is here",
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
      let (manifest, dealerManifest) = try UnfinishedFiles.whileWriting(
        plan.paths(in: folder)
      ) { () throws(InputError) in
        try write(plan, file, into: folder, memory, delivery, progress: progress)
      }
      return Result(
        conversion: plan.conversion, program: program, manifest: manifest,
        dealerManifest: dealerManifest,
        weightElementCount: program.weights.reduce(0) { $0 + $1.elementCount })
    } catch {
      // A conversion without its manifest must not look like one.
      for path in plan.paths(in: folder) { try? FileManager.default.removeItem(atPath: path) }
      if isNew { unsafe rmdir(folder) }
      throw error
    }
  }

  private static func write(
    _ plan: SharePlan, _ file: ModelFile, into folder: String, _ memory: MemoryBudget,
    _ delivery: Delivery, progress: (Int) -> Void
  ) throws(InputError) -> (Manifest, dealer: Manifest) {
    let encoder = WeightEncoder(source: "model", weights: file)
    let program = plan.program
    let seeds = [Seed.random(), Seed.random()]
    let files = try [0, 1].map { party throws(InputError) in
      try delivery.file("party\(party).bundle", in: folder, party: party)
    }
    let party0 = try plan.partyWriter(files[0], party: 0)
    let party1 = try plan.partyWriter(files[1], party: 1)
    let dealerPath = "\(folder)/\(DealerBundle.fileName)"
    let dealer = try plan.dealerWriter(
      dealerPath, elementTypes: DealerBundle.elementTypes(program, encoder, memory))
    try party0.write("weightSeed", values: seeds[0].bytes)
    try party1.write("weightSeed", values: seeds[1].bytes)
    try Salt.write(to: dealer)
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
    var dealerManifest = manifest
    (manifest.files, dealerManifest.files) = try entries(
      of: files, digests: [party0.finish(), party1.finish()],
      dealer: (dealerPath, dealer.finish()))
    if program.clientInput == .embedding {
      let path = "\(folder)/client.bundle"
      let digest = try ClientBundle.write(
        to: path, file: file, conversion: plan.conversion, memory: memory)
      manifest.files["client.bundle"] = FileEntry(
        digest: digest, file: try FileDigest(path: path))
    }
    try dealerManifest.write(to: "\(folder)/\(Manifest.dealerName)", key: delivery.key)
    try manifest.write(to: "\(folder)/\(Manifest.name)", key: delivery.key)
    return (manifest, dealerManifest)
  }

  /// Publishes the parties' files; all files are read at the same time.
  private static func entries(
    of files: [OutgoingFile], digests: [[UInt8]], dealer: (path: String, digest: [UInt8])
  ) throws(InputError) -> (public: [String: FileEntry], dealer: [String: FileEntry]) {
    let found = try ConcurrentTasks.map(3) { (task) throws(InputError) -> FileEntry in
      if task < 2 { return try files[task].publish(digest: digests[task]) }
      return FileEntry(digest: dealer.digest, file: try FileDigest(path: dealer.path))
    }
    return (
      [files[0].name: found[0], files[1].name: found[1]], [DealerBundle.fileName: found[2]]
    )
  }
}

/// Who writes which share, and the writers of the files.
private struct SharePlan {
  /// Everything that sharing writes, the manifest last.
  static let fileNames = [
    "party0.bundle", "party1.bundle", DealerBundle.fileName, "client.bundle",
    Manifest.dealerName, Manifest.name,
  ]

  /// The same in `folder`, sealed and signed or not.
  func paths(in folder: String) -> [String] {
    Self.fileNames.flatMap { name in
      ["", AgeTool.suffix, SignedFile.suffix].map { "\(folder)/\(name)\($0)" }
    }
  }

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

  func partyWriter(_ file: OutgoingFile, party: Int) throws(InputError) -> ContainerWriter {
    let own = program.weights.indices.filter { holders[$0] == party }
    let storages = holders.map { holder -> JSON in
      .string((holder == party ? ShareStorage.full : .seed).rawValue)
    }
    let header: JSON = .object(
      conversion.members.merging([
        "party": .integer(party), "deployment": "two-server", "program": program.json,
        "storages": .array(storages),
      ]) { first, _ in first })
    return try file.writer(
      kind: "bundle", header: header,
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
      datasets: multiplied.sorted().map { dataset($0, elementTypes[$0] ?? .i64) }
        + [Salt.dataset])
  }
}
