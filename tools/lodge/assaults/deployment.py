"""A tiny model, converted and dealt by the built tools, and parties that serve it."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from lodge.assaults.tally import CRASH_MARKS, HANG_SECONDS, shortened
from lodge.assaults.wire import Closed, Frames

PROMPT, NEW = 3, 3
START_SECONDS = 120
# What a tool may take for a file of some kilobytes.
MOST_MEMORY_BYTES = 400 << 20


class Broken(Exception):
    """Something that has to work did not, so that nothing can be learnt from the run."""


class Outcome:
    """What a finished tool left."""

    def __init__(self, status, messages, seconds, memory_bytes):
        self.status, self.messages = status, messages
        self.seconds, self.memory_bytes = seconds, memory_bytes


def write_model(folder, seed):
    """A checkpoint of OPT: one layer, 2 heads, width 8, vocabulary 11, 6 positions."""
    random = np.random.default_rng(seed)
    width, inner, tensors = 8, 12, {}

    def add(name, *shape, scale=0.5, center=0.0):
        values = center + scale * random.uniform(-1, 1, shape)
        tensors["model.decoder." + name] = values.astype(np.float32)

    def add_norm(name):
        add(name + ".weight", width, scale=0.2, center=1.0)
        add(name + ".bias", width, scale=0.1)

    def add_linear(name, outputs, inputs):
        add(name + ".weight", outputs, inputs)
        add(name + ".bias", outputs, scale=0.1)

    add("embed_tokens.weight", 11, width)
    add("embed_positions.weight", 8, width)
    for part in "q", "k", "v", "out":
        add_linear(f"layers.0.self_attn.{part}_proj", width, width)
    add_linear("layers.0.fc1", inner, width)
    add_linear("layers.0.fc2", width, inner)
    for name in "layers.0.self_attn_layer_norm", "layers.0.final_layer_norm", "final_layer_norm":
        add_norm(name)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({
        "model_type": "opt", "hidden_size": width, "ffn_dim": inner, "num_attention_heads": 2,
        "num_hidden_layers": 1, "vocab_size": 11, "max_position_embeddings": 6,
        "activation_function": "relu", "do_layer_norm_before": True, "word_embed_proj_dim": width}))
    (folder / "texts.json").write_text("[[1,2,3,4,5,6],[7,8,9,10,0,1]]")
    (folder / "prompt.json").write_text("[3,1,4]")


class Deployment:
    """Files of an owner in a folder of their own, which goes with the run."""

    def __init__(self, tools, seed, tally):
        self.tools, self.tally = Path(tools), tally
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="lodge-assault-", dir=place))
        self.model = self.folder / "model"
        write_model(self.model, seed)
        self.shares = self.folder / "shares"
        self.lodge = self.folder / "model.lodge"
        self.calibration = self.folder / "texts.calibration"
        texts = ["--tokens", self.model / "texts.json"]
        self.succeed("lodge-model", "calibrate", self.model, *texts, "--out", self.calibration)
        self.succeed("lodge-model", "approximate", self.model, "--calibration", self.calibration,
                     "--out", self.lodge)
        self.succeed("lodge-model", "share", self.lodge, "--out", self.shares)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, tool, *arguments, most_seconds=60):
        """Runs a tool to its end; one that takes longer is killed."""
        start = time.monotonic()
        process = subprocess.Popen(
            [self.tools / tool, *map(str, arguments)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=False)
        timer = threading.Timer(most_seconds, process.kill)
        timer.start()
        messages = process.stderr.read()
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        return Outcome(process.returncode, messages, time.monotonic() - start,
                       1024 * usage.ru_maxrss)

    def succeed(self, tool, *arguments):
        outcome = self.run(tool, *arguments, most_seconds=300)
        if outcome.status:
            raise Broken(f"{tool} {' '.join(map(str, arguments))}: {shortened(outcome.messages)}")
        return outcome

    def judge(self, row, what, tool, *arguments):
        """Runs a tool on a hostile input; true where it takes it, false where it refuses.

        None where it does neither, which is counted. Too slow counts when it happens twice: the
        machine may have other work.
        """
        for attempt in range(2):
            outcome = self.run(tool, *arguments)
            if outcome.seconds <= HANG_SECONDS:
                break
        else:
            self.tally.add(row, "hung", why=f"{what}: {tool}: {outcome.seconds:.0f} s")
            return None
        why = f"{what}: {tool}: status {outcome.status}, {outcome.memory_bytes >> 20} MiB: " \
            + shortened(outcome.messages)
        marks = [mark for mark in CRASH_MARKS if mark in outcome.messages]
        says_why = b": error: " in outcome.messages
        if outcome.status not in (0, 1, 2) or marks or (outcome.status and not says_why) \
                or outcome.memory_bytes > MOST_MEMORY_BYTES:
            self.tally.add(row, "crashed", why=why)
            return None
        # A party that has read its bundle waits in vain for the other one, and says so.
        return outcome.status == 0 or b" listens on " in outcome.messages

    def deal(self, out, count, *more, shares=None):
        self.succeed("lodge-deal", shares or self.shares, "--sessions", f"0..<{count}", "--prompt",
                     PROMPT, "--new", NEW, "--out", out, *more)


class Party:
    """One running lodge-party."""

    def __init__(self, pair, party, peer):
        self.log = pair.folder / f"party{party}.log"
        arguments = ["--party", party, "--bundle", pair.bundles[party], "--correlations",
                     pair.folder / f"correlations/party{party}", "--listen", "127.0.0.1:0",
                     "--ledger", pair.ledgers[party], *pair.more[party]]
        if peer is not None:
            arguments += ["--peer", f"127.0.0.1:{peer}"]
        with self.log.open("ab") as log:
            start = log.tell()
            self.process = subprocess.Popen(
                [pair.deployment.tools / "lodge-party", *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        end = time.monotonic() + START_SECONDS
        while True:
            with self.log.open("rb") as log:
                log.seek(start)
                text = log.read()
            if b"listens on " in text and b"\n" in text.split(b"listens on ")[1]:
                self.port = int(text.split(b"listens on ")[1].split(b"\n")[0].split(b":")[-1])
                return
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise Broken(f"party {party} does not listen: {shortened(text)}")
            time.sleep(0.005)

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def crash(self):
        """What a party that has ended by itself leaves to be said, else nothing."""
        status = self.process.poll()
        if status is None:
            return ""
        return f"status {status}: {shortened(self.log.read_bytes(), 600)}"


class Pair:
    """Both parties with a batch of their own."""

    def __init__(self, deployment, name, sessions, more=((), ()), ledgers=(None, None)):
        self.deployment, self.tally = deployment, deployment.tally
        self.folder = deployment.folder / name
        self.folder.mkdir()
        self.more = [list(more[party]) for party in range(2)]
        self.bundles = [deployment.shares / f"party{party}.bundle" for party in range(2)]
        self.ledgers = [ledgers[party] or self.folder / f"party{party}.ledger"
                        for party in range(2)]
        self.parties = [None, None]
        self.reported = set()
        self.deal(sessions)

    def deal(self, sessions):
        self.deployment.deal(self.folder / "correlations", sessions)

    def batch(self):
        """The name of the batch, from the file that the dealer keeps."""
        command = [self.deployment.tools / "lodge-deal", "status", "--json",
                   self.folder / "correlations"]
        text = subprocess.run(command, capture_output=True, check=True).stdout
        return json.loads(text)["batches"][0]["batch"]

    def start(self, party, peer=None):
        """Starts a party; party 1 finds party 0 unless told where to dial."""
        if peer is None:
            peer = self.parties[0].port if party == 1 and self.parties[0] else 0
        self.parties[party] = Party(self, party, peer)
        return self.parties[party]

    def start_both(self):
        for party in range(2):
            self.start(party)
        return self

    @property
    def ports(self):
        return [party.port for party in self.parties]

    def check(self, row):
        """Notes parties that have ended by themselves, each once; true where one has."""
        ended = False
        for number, party in enumerate(self.parties):
            if party and party.process.pid not in self.reported and party.crash:
                self.reported.add(party.process.pid)
                self.tally.add(row, "crashed", why=f"party {number}: {party.crash}")
            ended = ended or bool(party and party.crash)
        return ended

    def answers(self, party, context=None):
        """Whether a party greets a client within the time after which it counts as hung, twice."""
        for _ in range(2):
            try:
                with Frames.dial(self.parties[party].port, context, HANG_SECONDS) as frames:
                    frames.send("hello", {"role": "client"})
                    frames.expect("hello")
                    return True
            except (OSError, Closed):
                continue
        return False

    def stop(self, row):
        """Stops the parties as an administrator does; one that does not go has hung."""
        self.check(row)
        running = [party for party in self.parties if party and party.process.poll() is None]
        for party in running:
            party.process.send_signal(signal.SIGTERM)
        for party in running:
            try:
                if party.process.wait(2 * HANG_SECONDS):
                    self.tally.add(row, "crashed", why="did not stop quietly: " + party.crash)
            except subprocess.TimeoutExpired:
                self.tally.add(row, "hung", why="does not stop")
                party.kill()
        self.parties = [None, None]

    def kill(self):
        for party in self.parties:
            if party:
                party.kill()

    def states(self, party):
        """What the ledger says: by (batch, session) `claimed`, `finished` or `burned`."""
        database = sqlite3.connect(f"file:{self.ledgers[party]}?mode=ro", uri=True)
        try:
            return {(batch, session): state for batch, session, state in
                    database.execute("SELECT batch, session, state FROM sessions")}
        finally:
            database.close()

    def unfinished(self):
        """Sessions that one of the ledgers has and that did not come to their end."""
        return {key for party in range(2) for key, state in self.states(party).items()
                if state != "finished"}


class Provider(Pair):
    """A provider that serves, and all that its user has."""

    def __init__(self, deployment, name, sessions):
        super().__init__(deployment, name, sessions)
        self.bundles[0] = self.folder / "roles/provider/provider.bundle"
        self.parties[0] = Party(self, 0, None)
        self.port = self.parties[0].port
        self.hello = self.overheard_hello()

    def deal(self, sessions):
        roles = self.folder / "roles"
        self.deployment.succeed("lodge-model", "share", self.deployment.lodge, "--deployment",
                                "provider-user", "--out", roles)
        self.deployment.deal(self.folder / "correlations", sessions, shares=roles / "dealer")

    def arguments(self, port):
        """Those of a user that asks for all that a session has."""
        return ["--provider", f"127.0.0.1:{port}", "--bundle", self.folder / "roles/user/user.bundle",
                "--correlations", self.folder / "correlations/party1", "--ledger", self.ledgers[1],
                "--tokens", self.deployment.model / "prompt.json", "--new", NEW]

    def ask(self):
        return self.deployment.run("lodge-client", *self.arguments(self.port))

    def overheard_hello(self):
        """What a real user says first."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(START_SECONDS)
            command = [self.deployment.tools / "lodge-client",
                       *self.arguments(listener.getsockname()[1])]
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                with Frames(listener.accept()[0], START_SECONDS) as frames:
                    return json.loads(frames.expect("hello"))
            finally:
                process.kill()
                process.wait()
