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

  /// Throws where a model with sparsity gates is for a provider and a user.
  public static func check(
    _ program: SecureProgram, _ deployment: Deployment
  ) throws(InputError) {
    guard deployment == .providerUser, program.hasGates else { return }
    throw InputError(
      "--deployment",
      program.hasBlockOrders
        ? "this model has gates: a provider knows the order of its blocks, and would read the user's "
          + "tokens from which of them run"
        : "this model has gates: a provider would read the user's tokens from which heads run",
      hint: "share it for two servers, or convert the checkpoint without its gates")
  }

  /// Shares the weights of `file` for `deployment`.
  ///
  /// Between two servers W = W_0 + W_1 mod 2^64; of each weight one share comes from a party's seed
  /// and the other is written, so that both files have about the same size. A provider gets W
  /// itself. A blind dealer gets W - D, and both parties the seed of D. Every seed is fresh.
  ///
  /// With `reshuffles` it is for the sake of a new order of blocks, and refused where there are
  /// none.
  ///
  /// With `isByRole` every role has a folder of its own, as without a blind dealer it has not.
  /// Weights go through in small parts, whatever their size. `delivery` says who signs and for whom
  /// the parties' files are sealed. `progress` is told how many ring elements are done at a time.
  public static func share(
    _ file: ModelFile, into folder: String, deployment: Deployment = .twoServer,
    isByRole: Bool = false, reshuffles: Bool = false, memory: MemoryBudget = .default,
    delivery: Delivery = .plain, progress: (Int) -> Void = { _ in }
  ) throws(InputError) -> Result {
    let program = try file.program()
    guard !reshuffles || program.hasBlockOrders else {
      throw InputError(
        "--reshuffle",
        program.hasGates
          ? "only heads of this model are gated, which have its own numbers: there is no order"
          : "nothing of this model is gated: no block has an order",
        hint: "share it without --reshuffle, or give it gates (`lodge-model sparsify`)")
    }
    try check(program, deployment)
    let plan = SharePlan(
      program: program,
      conversion: Conversion(
        identifier: Array(Seed.random().bytes.prefix(16)), programDigest: program.digest,
        deployment: deployment), folder: folder, isByRole: isByRole)
    for path in SharePlan.manifestPaths(in: folder) where FilePaths.exists(path) {
      throw InputError(
        FilePaths.folder(of: path), place: Manifest.name, "another conversion is here",
        hint: "its correlations would be lost with it: choose another folder, or remove this one")
    }
    let newFolders = plan.folders.filter { !FilePaths.exists($0) }
    for folder in plan.folders { try Folder.make(folder) }
    do throws(InputError) {
      let (manifest, dealerManifest) = try UnfinishedFiles.whileWriting(
        plan.paths
      ) { () throws(InputError) in
        try write(plan, file, memory, delivery, progress: progress)
      }
      return Result(
        conversion: plan.conversion, program: program, manifest: manifest,
        dealerManifest: dealerManifest,
        weightElementCount: program.weights.reduce(0) { $0 + $1.elementCount })
    } catch {
      // A conversion without its manifest must not look like one.
      for path in plan.paths { try? FileManager.default.removeItem(atPath: path) }
      for folder in newFolders.reversed() { unsafe rmdir(folder) }
      throw error
    }
  }

  private static func write(
    _ plan: SharePlan, _ file: ModelFile, _ memory: MemoryBudget, _ delivery: Delivery,
    progress: (Int) -> Void
  ) throws(InputError) -> (Manifest, dealer: Manifest) {
    let program = plan.program
    let encoder = WeightEncoder(
      source: "model", weights: file, blockOrders: BlockOrders(program, seed: .random()))
    let deployment = plan.conversion.deployment
    let seeds = [Seed.random(), Seed.random()]
    let maskSeed = Seed.random()
    let masks = deployment.isDealerBlind ? WeightMasks(maskSeed) : nil
    let files = try [0, 1].map { party throws(InputError) in
      try delivery.file(
        deployment.bundleName(ofParty: party), in: plan.folder(ofParty: party), party: party)
    }
    let isPlain = deployment == .providerUser
    let plainTypes = try PlainWeight.elementTypes(
      isPlain
        ? Array(program.weights.indices) : deployment.isDealerBlind ? [] : Array(plan.multiplied),
      of: program, encoder, memory)
    let party0 = try plan.partyWriter(files[0], party: 0, plainTypes)
    let party1 = try plan.partyWriter(files[1], party: 1, plainTypes)
    let dealer = try plan.dealerWriter(plainTypes)
    for name in PartyBundle.seeds(deployment) {
      let isMask = name == PartyBundle.maskSeedName
      try party0.write(name, values: (isMask ? maskSeed : seeds[0]).bytes)
      try party1.write(name, values: (isMask ? maskSeed : seeds[1]).bytes)
    }
    try Salt.write(to: dealer)
    for (id, weight) in program.weights.enumerated() {
      let holder = plan.holders[id]
      let name = "weights/\(id)"
      let region = holder == 0 ? party0.region(of: name) : party1.region(of: name)
      let dealt = plan.multiplied.contains(id) ? dealer.region(of: name) : nil
      let stream = PartyBundle.seedShare(seeds[1 - holder], party: 1 - holder, weight: id)
      let mask = masks?.stream(id)
      let parts = weight.parts(memory)
      try ConcurrentTasks.run(parts.count) { (index) throws(InputError) in
        let part = parts[index]
        func hidden(_ words: [UInt64], by stream: RandomStream) -> [UInt64] {
          var share = stream.words(at: part.lowerBound, count: part.count)
          for index in words.indices { share[index] = words[index] &- share[index] }
          return share
        }
        let words = try encoder.encode(weight, in: part).words
        if isPlain {
          try PlainWeight.write(words, to: region, atElement: part.lowerBound)
        } else {
          try region.write(hidden(words, by: stream), atElement: part.lowerBound)
        }
        guard let dealt else { return }
        try PlainWeight.write(
          mask.map { hidden(words, by: $0) } ?? words, to: dealt, atElement: part.lowerBound)
      }
      progress(weight.elementCount)
    }
    let (entries, dealerEntry) = try entries(
      of: files, digests: [party0.finish(), party1.finish()],
      dealer: (plan.dealerPath, dealer.finish()))
    // By folder: what lies in one is for one role.
    var written: [String: [String: FileEntry]] = [:]
    for party in 0...1 {
      written[plan.folder(ofParty: party), default: [:]][files[party].name] = entries[party]
    }
    if program.clientInput == .embedding {
      let path = "\(plan.clientFolder)/\(ClientBundle.fileName)"
      let digest = try ClientBundle.write(
        to: path, file: file, conversion: plan.conversion, memory: memory)
      written[plan.clientFolder, default: [:]][ClientBundle.fileName] = FileEntry(
        digest: digest, file: try FileDigest(path: path))
    }
    var manifest = Manifest(
      conversion: plan.conversion, files: [DealerBundle.fileName: dealerEntry],
      leakage: LeakageEntry.report(program, deployment))
    let dealerManifest = manifest
    try manifest.write(
      to: "\(plan.dealerFolder)/\(Manifest.dealerName)", key: delivery.key)
    for (folder, files) in written.sorted(by: { $0.key < $1.key }) {
      manifest.files = files
      try manifest.write(to: "\(folder)/\(Manifest.name)", key: delivery.key)
    }
    manifest.files = written.values.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    return (manifest, dealerManifest)
  }

  /// Publishes the parties' files; all files are read at the same time.
  private static func entries(
    of files: [OutgoingFile], digests: [[UInt8]], dealer: (path: String, digest: [UInt8])
  ) throws(InputError) -> (parties: [FileEntry], dealer: FileEntry) {
    let found = try ConcurrentTasks.map(3) { (task) throws(InputError) -> FileEntry in
      if task < 2 { return try files[task].publish(digest: digests[task]) }
      return FileEntry(digest: dealer.digest, file: try FileDigest(path: dealer.path))
    }
    return (Array(found[..<2]), found[2])
  }
}

/// Who writes which share, and the writers of the files.
private struct SharePlan {
  let program: SecureProgram
  let conversion: Conversion
  /// Where the conversion is written.
  let folder: String
  /// The deployment whose folders are written.
  let layout: Deployment
  /// The party that holds the written share of each weight.
  let holders: [Int]
  let multiplied: Set<WeightID>

  init(program: SecureProgram, conversion: Conversion, folder: String, isByRole: Bool) {
    self.program = program
    self.conversion = conversion
    self.folder = folder
    layout = isByRole ? conversion.deployment.byRole : conversion.deployment
    multiplied = Set(program.multipliedWeights)
    // Largest first, each to the smaller file: the files end nearly equal.
    var holders = [Int](repeating: 0, count: program.weights.count)
    var written = [0, 0]
    let order = program.weights.indices.sorted {
      (program.weights[$0].elementCount, $1) > (program.weights[$1].elementCount, $0)
    }
    for id in order where conversion.deployment != .providerUser {
      let holder = written[0] <= written[1] ? 0 : 1
      holders[id] = holder
      written[holder] += program.weights[id].elementCount
    }
    self.holders = holders
  }

  // MARK: Places

  private func below(_ name: String) -> String { name.isEmpty ? folder : "\(folder)/\(name)" }
  func folder(ofParty party: Int) -> String {
    below(layout.folder(ofParty: party))
  }
  var dealerFolder: String { below(layout.dealerFolder) }
  var dealerPath: String { "\(dealerFolder)/\(DealerBundle.fileName)" }
  var clientFolder: String { below(layout.clientFolder) }

  /// All folders that are written to, outer ones first.
  var folders: [String] {
    var folders = [folder, folder(ofParty: 0), folder(ofParty: 1), dealerFolder]
    if program.clientInput == .embedding { folders.append(clientFolder) }
    return folders.enumerated().filter { !folders[..<$0].contains($1) }.map(\.element)
  }

  /// Everything that sharing writes, sealed and signed or not.
  var paths: [String] {
    let manifests = folders.map { "\($0)/\(Manifest.name)" }
    let bundles =
      (0...1).map {
        "\(folder(ofParty: $0))/\(conversion.deployment.bundleName(ofParty: $0))"
      } + [dealerPath, "\(clientFolder)/\(ClientBundle.fileName)"]
    return (bundles + ["\(dealerFolder)/\(Manifest.dealerName)"] + manifests).flatMap { path in
      ["", AgeTool.suffix, SignedFile.suffix].map { path + $0 }
    }
  }

  /// Where a conversion of any deployment has its manifests.
  static func manifestPaths(in folder: String) -> [String] {
    let folders = Deployment.allCases.flatMap {
      [$0.folder(ofParty: 0), $0.folder(ofParty: 1)]
    }
    return Set(folders).sorted().map {
      "\(folder)/\($0.isEmpty ? "" : "\($0)/")\(Manifest.name)"
    }
  }

  // MARK: Writers

  private func dataset(_ id: WeightID, _ type: ElementType) -> DatasetDescription {
    let weight = program.weights[id]
    return DatasetDescription(
      name: "weights/\(id)", elementType: type, shape: [weight.rowCount, weight.columnCount],
      storage: .raw)
  }

  /// `plainTypes`: those of weights that are written as they are.
  func partyWriter(
    _ file: OutgoingFile, party: Int, _ plainTypes: [WeightID: ElementType]
  ) throws(InputError) -> ContainerWriter {
    let isPlain = conversion.deployment == .providerUser
    let own = program.weights.indices.filter { holders[$0] == party }
    let storages = holders.map { holder -> JSON in
      let storage: ShareStorage =
        isPlain
        ? (holder == party ? .plain : .nothing) : (holder == party ? .full : .seed)
      return .string(storage.rawValue)
    }
    let header: JSON = .object(
      conversion.members.merging([
        "party": .integer(party), "deployment": .string(conversion.deployment.rawValue),
        "program": program.json, "storages": .array(storages),
      ]) { first, _ in first })
    return try file.writer(
      kind: "bundle", header: header,
      datasets: PartyBundle.seeds(conversion.deployment).map {
        DatasetDescription(name: $0, elementType: .u8, shape: [Seed.byteCount], storage: .raw)
      } + own.map { dataset($0, isPlain ? plainTypes[$0] ?? .i64 : .u64) })
  }

  func dealerWriter(_ plainTypes: [WeightID: ElementType]) throws(InputError) -> ContainerWriter {
    let isBlind = conversion.deployment.isDealerBlind
    return try ContainerWriter(
      path: dealerPath, kind: "dealer",
      header: .object(conversion.members.merging(["program": program.json]) { first, _ in first }),
      datasets: multiplied.sorted().map {
        dataset(
          $0, isBlind ? PlainWeight.maskedElementType($0, of: program) : plainTypes[$0] ?? .i64)
      } + [Salt.dataset])
  }
}
