#!/usr/bin/env python3
"""Emulates network links: forwards TCP with a one-way delay and a bandwidth in each direction.

    tools/link --link parties --rtt 10ms --bandwidth 1Gbps --listen 127.0.0.1:9100 --to 127.0.0.1:9000 \\
      --link client --rtt 40ms --bandwidth 100Mbps --listen 127.0.0.1:9200 --to 127.0.0.1:9000 \\
      --listen 127.0.0.1:9201 --to 127.0.0.1:9001

Connections of one link share its bandwidth, as those of a machine share its line; the two directions do
not. A byte leaves when those before it have left, and arrives half a round trip later. Only what the
connections carry counts as bytes, not the headers of packets. At its start the emulator sends messages
through itself, says what it adds to a message, and takes that off the delay; it takes precedence over other
processes where it may. Runs until it is stopped and then says how late it was.
"""

import argparse
import collections
import ctypes
import os
import re
import select
import signal
import socket
import statistics
import sys
import time

PIECE_BYTES = 65_536
# Sleeps end this much early; the rest is waited for awake.
AWAKE_SECONDS = 80e-6
# What a link holds beyond what is under way on its line before it stops reading.
BUFFER_BYTES = 4 << 20
PR_SET_TIMERSLACK = 29
# Above that of --precedence in measure_link.py.
PRECEDENCE = 10
UNITS = {
    "s": 1.0, "ms": 1e-3, "us": 1e-6,
    "bps": 1.0, "kbps": 1e3, "Mbps": 1e6, "Gbps": 1e9,
}


def quantity(*units):
    """A reader of numbers with one of these units."""
    def read(text):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)", text)
        if match is None or match[2] not in units:
            raise argparse.ArgumentTypeError(f"write a number and one of {', '.join(units)}")
        return float(match[1]) * UNITS[match[2]]
    return read


def address(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError("write HOST:PORT")
    return host, int(port)


class Way:
    """One direction of a link: pieces in the order in which they arrive at its end."""

    def __init__(self, delay, bytes_per_second):
        self.delay, self.bytes_per_second = delay, bytes_per_second
        self.free_at = 0.0
        self.pieces = collections.deque()
        self.byte_count = 0
        self.limit = BUFFER_BYTES + (2 * delay * bytes_per_second if bytes_per_second else 0)

    def add(self, now, end, data, correction):
        begin = max(now, self.free_at)
        self.free_at = begin + (len(data) / self.bytes_per_second if self.bytes_per_second else 0)
        due = max(now, self.free_at + self.delay - correction)
        self.pieces.append((due, end, data))
        self.byte_count += len(data)

    @property
    def is_full(self):
        return self.byte_count >= self.limit


class End:
    """One socket of a forwarded connection: reads into `way`, and is written what its peer has read."""

    def __init__(self, sock, way):
        self.socket, self.way = sock, way
        self.peer = None
        self.backlog = collections.deque()
        self.reads = True
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self):
        return self.socket.fileno()

    def write(self, data):
        """Writes what the socket takes, now or when it can; nothing is the end."""
        self.backlog.append(data)
        self.flush()

    def flush(self):
        try:
            while self.backlog:
                data = self.backlog[0]
                if not data:
                    self.socket.shutdown(socket.SHUT_WR)
                else:
                    count = self.socket.send(data)
                    if count < len(data):
                        self.backlog[0] = data[count:]
                        return
                self.backlog.popleft()
        except BlockingIOError:
            pass
        except OSError:
            # The other side has gone; whoever still sends to it hears so.
            self.backlog.clear()
            self.reads = self.peer.reads = False
            self.close()
            self.peer.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    @property
    def is_closed(self):
        return self.socket.fileno() < 0


class Link:
    def __init__(self, name, rtt, bandwidth):
        self.name, self.rtt, self.bandwidth = name, rtt, bandwidth
        rate = bandwidth / 8 if bandwidth else None
        self.ways = [Way(rtt / 2, rate), Way(rtt / 2, rate)]
        self.listeners = []

    def listen(self, at, to):
        listener = socket.create_server(at)
        listener.setblocking(False)
        self.listeners.append((listener, to))
        return listener.getsockname()


class Emulator:
    def __init__(self, links, correction=0.0):
        self.links, self.correction = links, correction
        self.ends = []
        self.lateness = []

    def accept(self, link, listener, to):
        try:
            near, _ = listener.accept()
        except OSError:
            return
        try:
            far = socket.create_connection(to, timeout=5)
        except OSError as error:
            report(f"link {link.name}: {to[0]}:{to[1]}: {error.strerror or error}")
            near.close()
            return
        pair = End(near, link.ways[0]), End(far, link.ways[1])
        pair[0].peer, pair[1].peer = pair[1], pair[0]
        self.ends += pair

    def read(self, end, now):
        try:
            data = end.socket.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            end.reads = False
        end.way.add(now, end.peer, data, self.correction)

    def deliver(self, ways):
        """Delivers what is due; returns when the next piece is, or nothing."""
        due = None
        for way in ways:
            while way.pieces:
                now = time.monotonic()
                if way.pieces[0][0] > now:
                    due = way.pieces[0][0] if due is None else min(due, way.pieces[0][0])
                    break
                moment, end, data = way.pieces.popleft()
                way.byte_count -= len(data)
                if len(self.lateness) < 1_000_000:
                    self.lateness.append(now - moment)
                if not end.is_closed:
                    end.write(data)
        return due

    def run(self, is_stopped):
        listeners = {l: (link, to) for link in self.links for l, to in link.listeners}
        ways = [way for link in self.links for way in link.ways]
        while not is_stopped():
            due = self.deliver(ways)
            self.ends = [end for end in self.ends if not end.is_closed]
            timeout = 0.25
            if due is not None:
                timeout = min(timeout, max(0.0, due - time.monotonic() - AWAKE_SECONDS))
            readers = [end for end in self.ends if end.reads and not end.way.is_full]
            writers = [end for end in self.ends if end.backlog]
            ready, writable, _ = select.select(
                list(listeners) + readers, writers, [], timeout)
            now = time.monotonic()
            for item in ready:
                if isinstance(item, End):
                    if not item.is_closed:
                        self.read(item, now)
                else:
                    self.accept(listeners[item][0], item, listeners[item][1])
            for end in writable:
                if not end.is_closed:
                    end.flush()
            for end in self.ends:
                if not (end.reads or end.peer.reads or end.backlog or end.peer.backlog) and not any(
                        way.pieces for way in (end.way, end.peer.way)):
                    end.close()


def pings(to, count, byte_count=2048):
    """Seconds of round trips of messages between two who sleep in between."""
    seconds = []
    with socket.create_connection(to) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            time.sleep(0.5e-3)
            begin = time.monotonic()
            connection.sendall(bytes(byte_count))
            left = byte_count
            while left:
                left -= len(connection.recv(left))
            seconds.append(time.monotonic() - begin)
    return seconds


def echo(listener):
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(PIECE_BYTES):
            connection.sendall(data)
        connection.close()


def child(body):
    identifier = os.fork()
    if identifier:
        return identifier
    status = 1
    try:
        body()
        status = 0
    finally:
        os._exit(status)


def self_measurement(correction, count=80, delay=1e-3):
    """How much later than `delay` messages come through an emulator of its own, one way; one number a
    message. What a message takes without an emulator does not count."""
    listener = socket.create_server(("127.0.0.1", 0))
    link = Link("measurement", 2 * delay, None)
    through = link.listen(("127.0.0.1", 0), listener.getsockname())
    source, sink = os.pipe()

    def measure():
        direct = statistics.median(pings(listener.getsockname(), count))
        extra = [(s - direct) / 2 - delay for s in pings(through, count)]
        os.write(sink, " ".join(f"{e:.9f}" for e in extra).encode())

    echoing, measuring = child(lambda: echo(listener)), child(measure)
    os.close(sink)
    Emulator([link], correction).run(lambda: select.select([source], [], [], 0)[0])
    text = os.read(source, 1 << 20).decode()
    os.close(source)
    os.kill(echoing, signal.SIGKILL)
    for identifier in (echoing, measuring):
        os.waitpid(identifier, 0)
    listener.close()
    for own, _ in link.listeners:
        own.close()
    if not text:
        raise OSError("the emulator could not measure itself")
    return [float(word) for word in text.split()]


def report(text):
    print(text, file=sys.stderr, flush=True)


def spread(seconds):
    ordered = sorted(seconds)
    return (f"{1e6 * statistics.median(ordered):.0f} us in the median, "
            f"{1e6 * ordered[int(0.95 * (len(ordered) - 1))]:.0f} us for 95 %")


class Parts(argparse.Action):
    """Keeps options in their order: what follows a --link belongs to it."""

    def __call__(self, parser, namespace, value, option=None):
        links = namespace.links
        if self.dest == "link":
            links.append({"link": value, "listen": [], "to": []})
        elif not links:
            parser.error(f"--{self.dest} comes before any --link")
        elif self.dest in ("listen", "to"):
            links[-1][self.dest].append(value)
        else:
            links[-1][self.dest] = value


def parsed(words):
    parser = argparse.ArgumentParser(
        prog="link", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(links=[])
    parser.add_argument("--link", action=Parts, help="begins a link; its name in what is said of it")
    parser.add_argument("--rtt", action=Parts, type=quantity("s", "ms", "us"), help="round trip, as 10ms")
    parser.add_argument("--bandwidth", action=Parts, type=quantity("bps", "kbps", "Mbps", "Gbps"),
                        help="in each direction, as 100Mbps (default: without limit)")
    parser.add_argument("--listen", action=Parts, type=address, help="HOST:PORT; port 0 is chosen")
    parser.add_argument("--to", action=Parts, type=address, help="HOST:PORT that --listen stands for")
    arguments = parser.parse_args(words)
    if not arguments.links:
        parser.error("there is no --link")
    for link in arguments.links:
        if "rtt" not in link:
            parser.error(f"link {link['link']} has no --rtt")
        if not link["listen"] or len(link["listen"]) != len(link["to"]):
            parser.error(f"link {link['link']} needs as many --to as --listen, at least one")
    return arguments.links


def main():
    described = parsed(sys.argv[1:])
    stopped = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.append(True))
    # Whoever starts this from a thread that blocks them means that thread only.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    # Timers of this process may be 50 us late otherwise.
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        # A network does not wait for the processors of those whom it connects.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRECEDENCE))
    except OSError:
        report("link: note: may not take precedence (SCHED_FIFO): other work on this machine delays it")
    try:
        added = self_measurement(0.0)
        correction = max(0.0, statistics.median(added))
        report(f"link: adds {spread(added)} to a message one way; {1e6 * correction:.0f} us are taken "
               "off every delay")
        errors = [abs(extra) for extra in self_measurement(correction)]
        report(f"link: is then {spread(errors)} off a delay of 1 ms")
        links = []
        for part in described:
            link = Link(part["link"], part["rtt"], part.get("bandwidth"))
            for at, to in zip(part["listen"], part["to"]):
                host, port = link.listen(at, to)[:2]
                report(f"link {link.name}: listens on {host}:{port} for {to[0]}:{to[1]}")
            links.append(link)
    except OSError as error:
        report(f"link: error: {error}")
        return 1
    emulator = Emulator(links, correction)
    emulator.run(lambda: stopped)
    if emulator.lateness:
        report(f"link: forwarded {len(emulator.lateness)} pieces, late by {spread(emulator.lateness)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
