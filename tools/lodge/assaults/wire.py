"""Frames, channels and clients as formats/wire.md has them, and sockets that may break them."""

import datetime
import json
import os
import select
import socket
import ssl
import struct
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

VERSION = 4
NAMES = ("hello", "begin", "seed", "waiting", "ready", "refusal", "step", "output", "end",
         "proposal", "acceptance", "words", "used", "clients", "decline", "keys", "lanes")
KINDS = {name: number for number, name in enumerate(NAMES, 1)}
HEADER = struct.Struct("<2sBBIQ")
MOST_CONTROL_BYTES = 65536


class Closed(Exception):
    """The other end has closed, or sent what ends the talk."""


def header(kind, number, size, magic=b"LW", version=VERSION):
    return HEADER.pack(magic, version, kind, number % 2**32, size % 2**64)


class Frames:
    """One end of a connection, plain or TLS."""

    def __init__(self, channel, seconds=10):
        self.channel = channel
        channel.settimeout(seconds)
        self.number = 0
        # Of a lane: the connection of its meeting, which ends with it.
        self.control = None

    @classmethod
    def dial(cls, port, context=None, seconds=10):
        """Connects to a port of this machine; with `context` over TLS."""
        channel = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            try:
                channel = context.wrap_socket(channel)
            except OSError:
                channel.close()
                raise
        return cls(channel, seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.channel.close()
        except OSError:
            pass
        if self.control:
            self.control.close()

    def reset(self):
        """Closes at once and without a word, as a host that is switched off."""
        try:
            self.channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.close()

    def raw(self, data):
        try:
            self.channel.sendall(data)
        except socket.timeout:
            raise
        except OSError as error:
            raise Closed(str(error)) from error

    def send(self, name, payload=b""):
        """Sends the frame that should come next; JSON for a dictionary."""
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self.raw(header(KINDS[name], self.number, len(payload)) + payload)
        self.number += 1

    def exactly(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                more = self.channel.recv(min(count - len(data), 1 << 20))
            except socket.timeout:
                raise
            except OSError as error:
                raise Closed(str(error)) from error
            if not more:
                raise Closed("closed")
            data += more
        return bytes(data)

    def receive(self):
        """The next frame: its name and payload."""
        _, _, kind, _, size = HEADER.unpack(self.exactly(HEADER.size))
        return NAMES[kind - 1], self.exactly(size)

    def expect(self, name, *skipped):
        while True:
            found, payload = self.receive()
            if found == name:
                return payload
            if found not in skipped:
                raise Closed(f"{found} for {name}: {payload[:200]!r}")

    def is_closed(self, seconds):
        """Whether the other end closes in this time; what it says before is passed over."""
        try:
            self.channel.settimeout(seconds)
            while self.channel.recv(1 << 16):
                pass
            return True
        except socket.timeout:
            return False
        except OSError:
            return True


class Client:
    """A client that speaks to both parties, from `begin` to the end of its session."""

    def __init__(self, ports, random, context=None, prompt=1, new=1, seconds=60):
        self.random = random
        self.request = random.randbytes(16).hex()
        self.connections = []
        try:
            for port in ports:
                connection = Frames.dial(port, context, seconds)
                self.connections.append(connection)
                connection.send("hello", {"role": "client"})
                self.identity = json.loads(connection.expect("hello"))
            for connection in self.connections:
                connection.send("begin", {"request": self.request, "prompt": prompt, "new": new})
            self.connections[1].send("seed", random.randbytes(32))
            ready = self.await_ready(time.monotonic() + seconds)
        except BaseException:
            self.close()
            raise
        self.key = ready[0]["batch"], ready[0]["session"]
        self.steps = self.rows = 0

    def await_ready(self, end):
        """`ready` of both, whichever comes first; the loss of one ends the wait."""
        ready = [None, None]
        while None in ready:
            open_ones = [c for c, found in zip(self.connections, ready) if found is None]
            channels = [c.channel for c in open_ones]
            found = [c for c in channels if isinstance(c, ssl.SSLSocket) and c.pending()]
            if not found:
                watch = select.poll()
                for channel in channels:
                    watch.register(channel, select.POLLIN)
                events = dict(watch.poll(max(0, 1000 * (end - time.monotonic()))))
                found = [c for c in channels if c.fileno() in events]
            if not found or time.monotonic() > end:
                raise Closed("no session in time")
            for connection in open_ones:
                if connection.channel in found:
                    name, payload = connection.receive()
                    if name == "ready":
                        ready[self.connections.index(connection)] = json.loads(payload)
                    elif name != "waiting":
                        raise Closed(f"{name}: {payload[:200]!r}")
        return ready

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_step(self, rows=1):
        # All rows of the step before stay, and the last row gives an output.
        head = struct.pack("<IIII", self.steps, rows, self.rows, 1)
        self.rows = rows
        share = self.random.randbytes(8 * rows * self.identity["inputWidth"])
        self.connections[1].send("step", head)
        self.connections[0].send("step", head + share)
        self.steps += 1

    def step(self, rows=1):
        self.send_step(rows)
        for connection in self.connections:
            connection.expect("output")

    def end(self):
        for connection in self.connections:
            connection.send("end", {"finished": True, "reason": ""})
        for connection in self.connections:
            connection.expect("end")
        self.close()

    def close(self):
        for connection in self.connections:
            connection.close()


def serve(ports, random, context=None, rows=(1,)):
    """Runs a whole session and returns its key."""
    with Client(ports, random, context, prompt=rows[0], new=len(rows)) as client:
        for count in rows:
            client.step(count)
        client.end()
        return client.key


def private_key(path):
    """The key in a file of `lodge-party keygen`."""
    return serialization.load_ssh_private_key(path.read_bytes(), None)


def write_identity(path, key):
    """A key and a certificate that it has signed itself, in one PEM file."""
    name = x509.Name([])
    start = datetime.datetime(2020, 1, 1)
    builder = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1,
        not_valid_before=start, not_valid_after=start + datetime.timedelta(days=36500))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = builder.sign(key, algorithm)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                          serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM))
    os.chmod(path, 0o600)


def context(identity=None, newest=ssl.TLSVersion.TLSv1_3):
    """A TLS client that shows `identity`, a file of `write_identity`, and believes anybody."""
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    result.check_hostname = False
    result.verify_mode = ssl.CERT_NONE
    result.maximum_version = newest
    result.minimum_version = min(newest, ssl.TLSVersion.TLSv1_2)
    if identity:
        result.load_cert_chain(identity)
    return result


def strange_keys():
    """Keys that no party knows, by name; the last of a kind that no party takes."""
    return {"an unknown key": ed25519.Ed25519PrivateKey.generate(),
            "a key of another kind": ec.generate_private_key(ec.SECP256R1())}


def client_hello(identity):
    """The first flight of a real handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(identity).wrap_bio(incoming, outgoing)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()
