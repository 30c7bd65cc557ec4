// Times over emulated links: what the emulator delays, and what `lodge-check cost` predicts of it.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized, .needsPython) struct EmulatedLinkTests {
  /// Echoes through one link of 20 ms and 8 Mbps: a byte there and back, and 200 kB there and one back.
  private static let probe = """
    import socket, subprocess, sys, threading, time
    server = socket.create_server(("127.0.0.1", 0))
    def serve():
        connection, _ = server.accept()
        for size in (1, 200_000):
            left = size
            while left:
                left -= len(connection.recv(left))
            connection.sendall(b"x")
        assert connection.recv(1) == b""
        connection.sendall(b"end")
        connection.close()
    threading.Thread(target=serve, daemon=True).start()
    link = subprocess.Popen(
        [sys.argv[1], "--link", "way", "--rtt", "20ms", "--bandwidth", "8Mbps", "--listen", "127.0.0.1:0",
         "--to", "127.0.0.1:%d" % server.getsockname()[1]], stderr=subprocess.PIPE, text=True)
    said = []
    for line in link.stderr:
        said.append(line)
        if "listens on" in line:
            break
    host, port = said[-1].split()[4].split(":")
    client = socket.create_connection((host, int(port)))
    for size in (1, 200_000):
        begin = time.monotonic()
        client.sendall(bytes(size))
        assert client.recv(1) == b"x"
        print(time.monotonic() - begin)
    client.shutdown(socket.SHUT_WR)
    print(client.recv(3).decode(), client.recv(1))
    link.terminate()
    said += link.stderr.readlines()
    print(link.wait(), "late by" in said[-1], sum("us in the median" in line for line in said))
    """

  @Test func linksDelayAndLimit() throws {
    let folder = try ScratchFolder()
    let script = try folder.write(Array(Self.probe.utf8), to: "probe.py")
    let python = Repository.root.appending(path: ".venv/bin/python")
    let run = try RunningTool(
      executable: python, [script, Repository.root.appending(path: "tools/link").path])
    let status = try run.wait(.seconds(60))
    let messages = try run.messages
    #expect(status == 0, "\(messages)")
    let lines = try run.output.split(separator: "\n")
    try #require(lines.count == 4, "\(lines) \(messages)")
    let seconds = lines.prefix(2).compactMap { Double($0) }
    // Never faster than the line, save for what the emulator takes off; slower on a busy machine.
    #expect((0.0195..<1).contains(seconds[0]), "\(seconds)")
    #expect((0.2195..<2).contains(seconds[1]), "\(seconds)")
    #expect(lines[2] == "end b''")
    #expect(lines[3] == "0 True 3", "\(lines[3])")
  }

  @Test(arguments: [
    (["--rtt", "10ms"], "comes before any --link"),
    (["--link", "a", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"], "has no --rtt"),
    (["--link", "a", "--rtt", "10ms", "--listen", "127.0.0.1:0"], "as many --to as --listen"),
    (["--link", "a", "--rtt", "10"], "write a number and one of"),
    ([], "there is no --link"),
  ])
  func wrongLinksAreRefused(arguments: [String], cause: String) throws {
    let outcome = try PythonTool("link").run(arguments)
    #expect(outcome.status == 2 && outcome.errors.contains(cause), "\(outcome.errors)")
  }

  /// A token of the trained fixture at 20 ms and 1 Gbps, both parties, client and links as processes.
  @Test func aTokenTakesThePredictedTime() throws {
    let fixture = Repository.root.appending(path: "Tests/Fixtures/opt-dickens-5m").path
    let folder = try Tool.executable("lodge-party").deletingLastPathComponent().path
    // The tolerance of the tool is for its median on a quiet machine; here the rows are read.
    let outcome = try PythonTool("measure/link").run([
      fixture, "--prompt", "8", "--new", "5", "--repeat", "1", "--setting", "20ms,1Gbps",
      "--tolerance", "1000", "--tools", folder,
    ])
    #expect(outcome.status == 0, "\(outcome.output)\n\(outcome.errors)")
    let row = try #require(outcome.output.split(separator: "\n").last)
    let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    try #require(cells.count == 11, "\(row)")
    func milliseconds(_ cell: Int) throws -> Double {
      try #require(Double(cells[cell].dropLast(3)), "\(row)")
    }
    let (predicted, compute, fastest) = try (milliseconds(2), milliseconds(5), milliseconds(8))
    // The network cannot be beaten, and a machine with other work is slower than it was measured.
    #expect(fastest > 0.98 * (predicted - compute), "\(row)")
    #expect(fastest < 3 * predicted, "\(row)")
    #expect(predicted > 500 && compute < 0.5 * predicted, "\(row)")
  }
}
