// `lodge-party keygen`: keys for whoever needs one.

import Arguments
import Bytes
import Trust

let keygenCommand = Command(
  "keygen", summary: "makes a key pair for a party, a client, an owner or a dealer",
  details: """
    Writes the private key to FILE, readable by its owner alone, and the public key to FILE.pub,
    which is printed as well: one line to send to the others. Both are in OpenSSH's format: keys of
    'ssh-keygen -t ed25519' without a passphrase do as well.
    """,
  example: "lodge-party keygen party0.key",
  positionals: [Positional("FILE", .path, help: "file to write the private key to")],
  options: [
    Option("comment", .string, help: "name in the public key's line (default: the file's)"),
    .json,
  ]
) { arguments in
  let path = try arguments.string("FILE")
  let comment = arguments.optionalString("comment") ?? FilePaths.lastComponent(of: path)
  guard comment.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
    throw InputError("--comment", "holds a line break or another control character")
  }
  let key = PrivateKey.random()
  try key.write(to: path, comment: comment)
  if arguments.flag("json") {
    let document: JSON = [
      "publicKey": .string(key.publicKey.text), "fingerprint": .string(key.publicKey.fingerprint),
    ]
    arguments.console.print(document.indentedText)
  } else {
    arguments.console.print("\(key.publicKey.text) \(comment)")
    arguments.note(
      "\(path) stays here; \(path).pub goes to the others, for --peer-key, --client-keys, --trust or "
        + "--recipient0")
  }
}
