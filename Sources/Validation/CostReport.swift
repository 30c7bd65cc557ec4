// Flights, bytes and correlation sizes of a program, from shapes alone.

public import Bytes
import Foundation
import Models
import OnlineRuntime
public import Program
import Sharing

/// The cost of a session under a network's latency and bandwidth.
public struct CostReport: Report {
  /// One class of operations: a part of the model that all layers share.
  struct Row {
    var name: String
    var prompt: StepCost
    var token: StepCost
    var correlations: CorrelationCost

    /// Whether nothing is sent and nothing dealt for it.
    var isFree: Bool {
      prompt.roundCount == 0 && token.roundCount == 0
        && correlations.byteCount(party: 0) + correlations.byteCount(party: 1) == 0
    }
  }

  let program: SecureProgram
  let session: SessionShape
  let deployment: Deployment
  /// Between the parties, and between the client and both parties together.
  let network: NetworkProfile
  let clientLink: NetworkProfile
  /// What the parties compute, where it was measured.
  let compute: MeasuredCompute?
  let rows: [Row]
  /// The same by block: the parts of a layer's attention together, and so on.
  private let blocks: [Row]
  let total: Row
  /// Together, the layers of which a prompt or text evaluates every row (all layers where there is
  /// no such layer), and how many they are: of the others the output needs one row only.
  let layers: Row
  let layerCount: Int
  /// Flights from one layer to the next, on average.
  let flightsPerLayer: Double
  /// The prompt or text, and the step that stands for one token.
  let prompt: SessionStep
  /// The step that stands for one token.
  public let token: SessionStep
  /// The whole program's cost of the prompt and of each further token, where asked for.
  let steps: [StepCost]?
  /// The whole program as it is with either way to compare preferred, by its name in recipes.
  let comparisons: [Row]
  /// Whether every part is listed, and not blocks of them.
  public var isComplete = false
  /// Beside the same model without gates, where it has some and is at hand.
  public var gates: GateReport?

  /// The step whose cost stands for "one token": the last one of the session.
  ///
  /// - Parameters:
  ///   - network: The link between the parties.
  ///   - clientLink: The client's link to both of them; as fast as the other unless given.
  ///   - compute: What the parties compute, which the times leave out otherwise.
  ///   - textCount: Tokens of the prompt or text; as many as the session has room for unless given.
  ///   - listsSteps: Whether the report lists every step of the session as well.
  public init(
    program: SecureProgram, session: SessionShape, deployment: Deployment = .twoServer,
    network: NetworkProfile, clientLink: NetworkProfile? = nil, compute: MeasuredCompute? = nil,
    textCount: Int? = nil, listsSteps: Bool = false
  ) {
    self.program = program
    self.session = session
    self.deployment = deployment
    self.network = network
    self.clientLink = clientLink ?? network
    self.compute = compute
    let token = session.lastStep
    let prompt = session.steps(prompt: textCount)[0]
    self.prompt = prompt
    self.token = token
    func row(_ name: String, of program: SecureProgram) -> Row {
      Row(
        name: name, prompt: program.cost(of: prompt, deployment: deployment),
        token: program.cost(of: token, deployment: deployment),
        correlations: program.correlationCost(of: session, deployment: deployment))
    }
    func row(
      _ name: String, of program: SecureProgram, _ included: (ProgramNode) -> Bool
    ) -> Row {
      Row(
        name: name, prompt: program.cost(of: prompt, deployment: deployment, where: included),
        token: program.cost(of: token, deployment: deployment, where: included),
        correlations: program.correlationCost(
          of: session, deployment: deployment, where: included))
    }
    func rows(by name: (String) -> String) -> [Row] {
      program.nodes.map { name($0.label) }.grouped { $0 }.map { group in
        row(group.key, of: program) { name($0.label) == group.key }
      }
    }
    self.rows = rows(by: namePattern)
    blocks = rows(by: CostReport.block)
    total = row("total", of: program)
    var whole = Set<Substring>()
    var pruned = Set<Substring>()
    for node in program.nodes {
      guard let layer = CostReport.layer(node.label) else { continue }
      whole.insert(layer)
      if node.outputs.contains(where: { program.values[$0].shape.rows == .last }) {
        pruned.insert(layer)
      }
    }
    let counted = whole.subtracting(pruned).isEmpty ? whole : whole.subtracting(pruned)
    layers = row("layers", of: program) { node in
      CostReport.layer(node.label).map(counted.contains) ?? false
    }
    layerCount = counted.count
    flightsPerLayer = CostReport.flightsPerLayer(
      program, Timetable(program, deployment: deployment))
    comparisons = ComparisonProtocol.allCases.map {
      row($0.rawValue, of: program.comparing(preferring: $0))
    }
    steps =
      listsSteps
      ? session.steps(prompt: textCount).map { program.cost(of: $0, deployment: deployment) } : nil
  }

  /// The session that costs are given for: of 64 tokens and 32 new ones, or what the model has
  /// positions for, where nothing else is asked for.
  public static func session(of program: SecureProgram, prompt: Int?, new: Int?)
    throws(InputError) -> SessionShape
  {
    let half = max(program.maximumPositions / 2, 1)
    return try SessionShape.requested(
      program: program, prompt: prompt ?? min(64, half),
      new: new ?? (program.kind.isDecoder ? min(32, half) : nil))
  }

  private var stepTable: TextDocument {
    guard let steps else { return "" }
    var table = TextTable([("step", .right), ("flights", .right), ("bytes", .right)])
    for (index, cost) in steps.enumerated() {
      table.addRow([
        String(index), String(cost.roundCount),
        Quantity.text(
          byteCount: cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)),
      ])
    }
    return "\n\n\(table)"
  }

  /// What this program costs with `compare: keys` and with `compare: bits`.
  private var comparisonTable: TextTable {
    var columns: [(title: String, column: TextTable.Column)] = [("compare", .left)]
    for name in isDecoder ? ["prompt", "token"] : ["text"] {
      columns += [("\(name) flights", .right), ("\(name) bytes", .right)]
    }
    columns += [("comparison keys", .right), ("by bits", .right), ("dealt", .right)]
    var table = TextTable(columns)
    for row in comparisons {
      table.addRow(
        [row.name] + costs(row) + [
          Quantity.grouped(row.correlations.keyCount),
          Quantity.grouped(row.correlations.bitComparisonCount), correlationBytes(row),
        ])
    }
    return table
  }

  /// Flights and bytes of the prompt and the token, or of the text.
  private func costs(_ row: Row) -> [String] {
    (isDecoder ? [row.prompt, row.token] : [row.prompt]).flatMap { cost in
      [
        String(cost.roundCount),
        Quantity.text(
          byteCount: cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)),
      ]
    }
  }

  /// Both files of a session together.
  private func correlationBytes(_ row: Row) -> String {
    Quantity.text(
      byteCount: row.correlations.byteCount(party: 0) + row.correlations.byteCount(party: 1))
  }

  /// Flights from the end of one layer's attention to that of the next, on average; of a single layer
  /// those that it sends in. Where other parts of a layer end is not told by who sends.
  private static func flightsPerLayer(_ program: SecureProgram, _ timetable: Timetable) -> Double {
    var ends: [Substring: Int] = [:]
    var flightCount = 0
    for (flight, messages) in timetable.flights.enumerated() {
      let labels = messages.map { program.nodes[$0.node].label }
      flightCount += labels.contains { layer($0) != nil } ? 1 : 0
      for label in labels where block(label).hasSuffix(".attention") {
        if let layer = layer(label) { ends[layer] = flight }
      }
    }
    guard let first = ends.values.min(), let last = ends.values.max(), ends.count > 1 else {
      return Double(flightCount)
    }
    return Double(last - first) / Double(ends.count - 1)
  }

  /// "3" of "layers.3.attention.scores".
  private static func layer(_ label: String) -> Substring? {
    let parts = label.split(separator: ".")
    return parts.count > 1 && parts[0] == "layers" ? parts[1] : nil
  }

  /// "layers.*.attention" of "layers.3.attention.scores".
  private static func block(_ label: String) -> String {
    let parts = namePattern(label).split(separator: ".")
    return parts.prefix(parts.first == "layers" ? 3 : 1).joined(separator: ".")
  }

  /// Bytes of correlations for each token of the session, both files together, by kind.
  private var correlationTable: TextTable {
    var table = TextTable([
      ("correlations by token", .left), ("number", .right), ("bytes", .right),
      ("minimum", .right), ("share", .right),
    ])
    let sizes = program.correlationSizes(of: session)
    let tokens = Double(session.rowCapacity)
    let all = Double(sizes.values.reduce(0) { $0 + $1.storedByteCount })
    func row(_ name: String, _ size: CorrelationSize) {
      table.addRow([
        name, Quantity.grouped(Int((Double(size.count) / tokens).rounded())),
        Quantity.text(byteCount: Int((Double(size.storedByteCount) / tokens).rounded())),
        Quantity.text(byteCount: Int((Double(size.minimumBitCount) / 8 / tokens).rounded())),
        "\(Quantity.decimal(100 * Double(size.storedByteCount) / max(all, 1), fractionDigits: 1)) %",
      ])
    }
    var total = CorrelationSize()
    for kind in CorrelationKind.allCases {
      guard let size = sizes[kind] else { continue }
      row(kind.rawValue, size)
      total.count += size.count
      total.storedByteCount += size.storedByteCount
      total.minimumBitCount += size.minimumBitCount
    }
    table.addRule()
    row("total", total)
    return table
  }

  /// The time of the prompt or text, and of a token.
  var times: [(name: String, time: PredictedTime)] {
    func time(_ step: SessionStep, _ cost: StepCost, _ seconds: Double?) -> PredictedTime {
      PredictedTime(
        cost, on: network, compute: seconds, client: clientLink,
        clientByteCount: program.clientByteCount(step, deployment),
        clientFlights: deployment == .providerUser ? 1 : 2)
    }
    let text = time(prompt, total.prompt, compute?.promptSeconds)
    guard isDecoder else { return [("text", text)] }
    return [("prompt", text), ("token", time(token, total.token, compute?.tokenSeconds))]
  }

  private var timeTable: TextTable {
    var table = TextTable([("time", .left)] + times.map { ($0.name, .right) } + [("is", .prose)])
    func row(_ name: String, _ meaning: String, _ seconds: (PredictedTime) -> Double?) {
      let cells = times.map { entry in
        seconds(entry.time).map { Quantity.text(seconds: $0) } ?? "left out"
      }
      table.addRow([name] + cells + [meaning])
    }
    row("flights", "half of \(Quantity.text(seconds: network.roundTripSeconds)) each") {
      $0.flights
    }
    row("bytes", "at \(Quantity.text(bitsPerSecond: network.bitsPerSecond))") { $0.bytes }
    row("compute", compute == nil ? "" : "measured on this machine, \(Benchmark.machine)") {
      $0.compute
    }
    row(
      "client",
      deployment == .providerUser
        ? "output to the user" : "input and output, \(clientLink.text)"
    ) { $0.client }
    table.addRule()
    row("total", "as the client sees it") { $0.total }
    return table
  }

  var isDecoder: Bool { program.kind.isDecoder }

  /// Whether layers were left out of the count.
  private var layerMeaning: String {
    let all = Set(program.nodes.compactMap { CostReport.layer($0.label) }).count
    return all == layerCount
      ? "layer" : "layer of which all rows are needed (\(layerCount) of \(all))"
  }

  /// Flights, bytes and correlations of each part or block; those that cost nothing are left out.
  private var partTable: TextTable {
    var columns: [(title: String, column: TextTable.Column)] = [("part", .name)]
    for name in isDecoder ? ["prompt", "token"] : ["text"] {
      columns += [("\(name) flights", .right), ("\(name) bytes", .right)]
    }
    columns += [("keys", .right), ("dealt", .right)]
    var table = TextTable(columns)
    func add(_ row: Row) {
      table.addRow(
        [row.name] + costs(row) + [
          Quantity.grouped(row.correlations.keyCount), correlationBytes(row),
        ])
    }
    for row in isComplete ? rows : blocks where !row.isFree { add(row) }
    table.addRule()
    add(total)
    return table
  }

  public var document: TextDocument {
    let roles = (0...1).map { deployment.role(ofParty: $0) }
    let parties = (0...1).map { Quantity.text(byteCount: total.correlations.byteCount(party: $0)) }
    let size =
      isDecoder
      ? "a prompt of \(session.promptCapacity) and \(session.newCapacity) new tokens"
      : "a text of \(session.promptCapacity) tokens"
    let perLayer = isDecoder ? layers.token : layers.prompt
    let layerBytes = perLayer.byteCount(frameByteCount: Connection.frameHeaderByteCount)
    let count = Double(max(layerCount, 1))
    func layer(_ byteCount: Int) -> String {
      Quantity.text(byteCount: Int(Double(byteCount) / count))
    }
    let sent = (0...1).map {
      perLayer.byteCount(party: $0, frameByteCount: Connection.frameHeaderByteCount)
    }
    let layerText =
      sent[0] == sent[1]
      ? "\(layer(layerBytes)) sent by each party"
      : "\(layer(sent[0])) sent by \(roles[0]), \(layer(sent[1])) by \(roles[1])"
    let ahead =
      total.correlations.passedKeyByteCount[0] == 0
      ? onceText
      : " The provider sends \(Quantity.text(byteCount: total.correlations.keyByteCount)) of keys "
        + "before the first step, which takes "
        + Quantity.text(
          seconds: Double(total.correlations.keyByteCount) * 8 / network.bitsPerSecond)
        + " once a session, beside the times below."
    return """
      \(partTable)

      \(correlationTable)

      Per \(layerMeaning) and \(isDecoder ? "token" : "text"): \
      \(Quantity.decimal(flightsPerLayer, fractionDigits: 1)) flights, \
      \(layerText).\(aheadText)
      A flight is one message each way at the same time, or one message, half a round trip.
      Bytes are those each party sends in one step, or in each flight who sends more; a flight of one \
      part may share its messages with other parts, so flights and framing of parts add up to more \
      than the total. Keys are those of comparisons, dealt are all correlations of a session, both \
      files together.
      Minimum: what a kind takes however it is encoded, one share of each element being a seed's.
      Session for \(size): correlations of \(parties[0]) for \(roles[0]), \(parties[1]) for \
      \(roles[1]).\(ahead)\(lengthText)

      \(timeTable)

      The same with comparisons by keys, and by bits where they take at most a quarter of the bytes:
      \(comparisonTable)\(gateText)\(revealedText)\(stepTable)\(more)
      """
  }

  /// What files and messages are where keys are dealt once.
  private var onceText: String {
    let cost = program.correlationCost(of: session, deployment: deployment, keys: .once)
    guard deployment != .providerUser, cost.keyByteCount > 0 else { return "" }
    let text = (cost.passedKeyByteCount + (0...1).map { cost.byteCount(party: $0) }).map {
      Quantity.text(byteCount: $0)
    }
    return
      " With lodge-deal --keys once \(text[2]) and \(text[3]): before the first step of a session "
      + "the parties then pass on keys, \(text[0]) and \(text[1])."
  }

  /// How long a text the flights and bytes are for, where that is not what the session has room for, or
  /// where a shorter one would not send less in proportion.
  private var lengthText: String {
    let name = isDecoder ? "prompt" : "text"
    if prompt.rows.count < session.promptCapacity {
      return " Flights and bytes of the \(name) are for \(prompt.rows.count) tokens in it."
    }
    let isPermuted = program.nodes.contains { node in
      if case .permuted = node.operation { true } else { false }
    }
    return isPermuted
      ? " A shorter \(name) sends less than this, but may send more than in a session of its own "
        + "length: --text N says how much." : ""
  }

  /// What of a token or text a user can send before it is asked.
  private var aheadText: String {
    let step = isDecoder ? total.token : total.prompt
    guard step.aheadWordCount > 0 else { return "" }
    return " Of what \(deployment.role(ofParty: 1)) sends, "
      + "\(Quantity.text(byteCount: 8 * step.aheadWordCount)) of a \(isDecoder ? "token" : "text") "
      + "follow from what is dealt, and travel in its first flight."
  }

  private var gateText: TextDocument { gates.map { "\n\n\($0.document)" } ?? "" }

  private var more: String {
    isComplete ? "" : "\n\n--all lists every part, --steps every step of a session."
  }

  /// What a party sees in the clear, where there is anything.
  private var revealedText: String {
    let sentences = LeakageEntry.sentences(program, deployment)
    guard !sentences.isEmpty else { return "" }
    return "\n\nWhat this program shows:\n" + sentences.joined(separator: "\n")
  }
}
