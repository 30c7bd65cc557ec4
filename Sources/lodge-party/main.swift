// lodge-party: one of the two servers.

import Arguments
import Bytes
import OnlineRuntime
import Program
import Sharing

Command(
  "lodge-party", summary: "serves sessions of a shared model, together with the other party",
  details: """
    Party 1 connects to party 0's listening address; clients connect to both. With the bundle of a
    provider this is party 0 and has no --peer: each user is party 1 itself ('lodge-client
    --provider'). Sessions of several clients run side by side. It runs until it is stopped (SIGTERM or
    Ctrl-C), which lets the tokens that are being computed come to their end. A session is used once: the
    ledger remembers it for good, so keep the ledger when correlations are moved or copied.

    FOLDER is the party's of `lodge-model convert`, which has its bundle and its sessions; or the one
    with the folders of all roles, and then --party says which. Without it both are named.

    Beyond this machine both parties and all clients prove who they are: each has a key of
    'lodge-party keygen', and is told the public keys of the others.
    """,
  example: """
    lodge-party served/party0 --listen 127.0.0.1:9000 --peer 127.0.0.1:9001
    lodge-party --party 0 --bundle shares/party0.bundle --correlations correlations/party0 \\
      --listen 127.0.0.1:9000 --peer 127.0.0.1:9001
    lodge-party --party 1 --bundle party1.bundle --correlations party1 \\
      --listen 0.0.0.0:9000 --peer 192.0.2.10:9000 \\
      --identity party1.key --peer-key party0.key.pub --client-keys clients.pub
    lodge-party --party 0 --bundle provider/provider.bundle --correlations correlations/party0 \\
      --listen 0.0.0.0:9000 --identity provider.key --client-keys users.pub
    """,
  positionals: [
    Positional(
      "FOLDER", .path, isRequired: false, help: "folder of this party's role, from convert")
  ],
  options: [
    Option("party", .integer(0...1), help: "which of the two this is"),
    Option("bundle", .path, help: "this party's bundle, where it has no FOLDER"),
    Option(
      "correlations", .path, placeholder: "DIR",
      help:
        "folder with this party's .corr files, or with folders of them (default: FOLDER/correlations)"
    ),
    Option(
      "listen", .string, placeholder: "HOST:PORT", isRequired: true, help: "address to listen on"),
    Option(
      "peer", .string, placeholder: "HOST:PORT",
      help: "listening address of the other party; a provider has none"),
    Option("identity", .path, help: "this party's private key; opens sealed files as well"),
    Option(
      "peer-key", .string, placeholder: "KEY",
      help: "the other party's public key: its line, or a file with it"),
    Option(
      "client-keys", .string, placeholder: "KEYS",
      help: "public keys of the clients (or users) to serve: a file, one a line"),
    .flag(
      "insecure-plaintext",
      help: "plain TCP beyond this machine: the network reads and changes all it likes"),
    Option(
      "trust", .string, placeholder: "KEY",
      help:
        "public keys of owner and dealer (lines or files, by commas): refuse what they did not sign"
    ),
    Option(
      "scratch", .path, placeholder: "DIR",
      help: "folder for the plaintext of sealed files, without a name (default: memory)"),
    Option("ledger", .path, help: "database of used sessions (default: BUNDLE.ledger)"),
    Option(
      "concurrent", .integer(1...PartyConfiguration.maximumConcurrency), default: "4",
      help: "sessions that run at once, if the other party allows as many"),
    Option(
      "idle", .duration, default: "120s",
      help:
        "longest wait for a session's next step, as between turns of a conversation"
    ),
    Option(
      "memory", .byteCount,
      help: "most memory for running sessions: one that does not fit waits (default: no limit)"),
    Option(
      "metrics", .string, placeholder: "PORT",
      help: "tell metrics and health over HTTP, at 127.0.0.1:PORT or HOST:PORT"),
    Option(
      "silence", .duration, default: "300s",
      help: "longest silence of the other party (or a user) in a step: it burns the session"),
    Option("peer-timeout", .duration, default: "60s", help: "longest wait for the other party"),
  ],
  subcommands: [keygenCommand]
) { arguments in
  try checkFiles(arguments)
  arguments.printConfiguration()
  let files = try serverFiles(arguments)
  let (party, bundlePath) = (files.party, files.bundle)
  var configuration = PartyConfiguration(
    listen: try Address(arguments.string("listen")),
    peer: try arguments.optionalString("peer").map { text throws(InputError) in
      try Address(text)
    })
  let isProvider = configuration.peer == nil
  configuration.security = try PartySecurity(
    identity: arguments.optionalString("identity"),
    peerKey: arguments.optionalString("peer-key"),
    clientKeys: arguments.optionalString("client-keys"),
    isInsecure: arguments.flag("insecure-plaintext"), isProvider: isProvider)
  try configuration.checkSecurity()
  configuration.concurrency = try arguments.integer("concurrent")
  if arguments.isGiven("memory") {
    configuration.memoryByteCount = try arguments.integer("memory")
  }
  if let text = arguments.optionalString("metrics") {
    configuration.metrics = try Address(text.contains(":") ? text : "127.0.0.1:\(text)")
  }
  configuration.clientIdleTimeout = .seconds(try arguments.number("idle"))
  configuration.progressTimeout = .seconds(try arguments.number("silence"))
  configuration.peerTimeout = .seconds(try arguments.number("peer-timeout"))
  let console = arguments.console
  let log: @Sendable (String) -> Void = { console.report("lodge-party \(party): \($0)") }
  let provider = try BundleProvider(
    party: party, bundlePath: bundlePath, correlationFolder: files.correlations,
    access: FileAccess(
      trust: arguments.optionalString("trust"), identity: arguments.optionalString("identity"),
      scratch: arguments.optionalString("scratch")), report: log)
  guard isProvider == (provider.identity.deployment == .providerUser) else {
    throw InputError(
      "--peer", isProvider ? "is missing: the address of the other party" : "is given",
      hint: isProvider
        ? "\(bundlePath) is one of two servers'" : "a provider has no other party than its users")
  }
  let ledger = try SessionLedger(
    path: arguments.optionalString("ledger") ?? SessionLedger.defaultPath(bundle: bundlePath),
    party: party, guarding: files.correlations)
  let service = try PartyService(
    identity: provider.identity, configuration: configuration, log: log)
  log(configuration.security.summary)
  log("notes used sessions in \(ledger.path)")
  if let next = next(arguments, files, provider) { arguments.printNext([next]) }
  try TerminationSignals.call { service.finish() }
  try service.run(provider: provider, ledger: ledger)
}.main()
