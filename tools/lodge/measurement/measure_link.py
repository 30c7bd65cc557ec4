"""Runs two parties and a client over emulated links, and prints each time beside the predicted one.

    tools/measure/link opt-dickens-5m                     # 1, 10 and 40 ms at 100 Mbps and 1 Gbps
    tools/measure/link minilm-l6-v2 --prompt 32 --setting 10ms,1Gbps --repeat 5
    tools/measure/link opt-dickens-5m --deployment provider-user --recipe permllm --setting 10ms,1Gbps

MODEL is a checkpoint; it is converted, shared and dealt in a folder that goes afterwards. The parties have one
link, the client has another to both of them, with the same round trip and bandwidth; a provider and its user
have one. Measured is what the
client waits for: the tokens after the prompt (the median of all but the prompt), or an encoder's text; predicted
is what `lodge-check cost` says right before, with the parties' computation that it measures on this machine.
Fails where the median of a setting is further than --tolerance from its prediction.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
SETTINGS = [f"{rtt},{bandwidth}" for rtt in ("1ms", "10ms", "40ms") for bandwidth in ("100Mbps", "1Gbps")]


class Failure(Exception):
    pass


class Service:
    """A process that says on which addresses it listens; `addresses` are those of all `count` lines."""

    def __init__(self, words, count):
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.lines, self.addresses = [], []
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if found := re.search(r"listens on (\S+)", line):
                self.addresses.append(found[1])
            if len(self.addresses) == count:
                break
        else:
            raise Failure(f"{words[0]} ended: {' '.join(self.lines[-3:])}")
        # Nobody may block on a full pipe.
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def peak_byte_count(self):
        """The most memory that it had, mapped files included."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    def processor_seconds(self):
        """What it has computed so far, on all processors."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            user, system = file.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(5)


@dataclasses.dataclass
class Deployment:
    """What runs; `addresses` are those of the parties for a client."""

    parties: list
    links: list
    addresses: list


class Measurement:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.precedence = ["chrt", "--fifo", "1"] if arguments.precedence else []
        # More options of the parties.
        self.options = []
        self.has_user = getattr(arguments, "deployment", "two-server") == "provider-user"

    def tool(self, name, *words, is_timed=False):
        path = os.path.join(self.arguments.tools, name)
        before = self.precedence if is_timed else []
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as messages:
            process = subprocess.Popen([*before, path, *words], stdout=output, stderr=messages)
            # What it used, until the next one ends.
            _, status, self.usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            messages.seek(0)
            if process.returncode:
                raise Failure((messages.read().strip().splitlines() or [f"{name} failed"])[-1])
            return output.read()

    def file(self, name):
        return os.path.join(self.folder, name)

    def prepare(self, session_count):
        a = self.arguments
        tokens = a.tokens or os.path.join(a.model, "calibration.json")
        output = ["--output", a.output] if a.output else []
        self.tool("lodge-model", "approximate", a.model, "--tokens", tokens, "--recipe", a.recipe, *output,
                  "--accept-leakage", "--out", self.file("model.lodge"))
        self.tool("lodge-model", "share", self.file("model.lodge"), "--out", self.file("shares"),
                  "--deployment", "provider-user" if self.has_user else "two-server")
        kind = json.loads(self.tool("lodge-check", "program", self.file("model.lodge"), "--json"))["kind"]
        self.session = ["--prompt", str(a.prompt)] + (["--new", str(a.new)] if kind != "encoder" else [])
        self.step = "token" if kind != "encoder" and a.new > 1 else "prompt" if kind != "encoder" else "text"
        dealer = self.file("shares/dealer" if self.has_user else "shares")
        self.tool("lodge-deal", dealer, "--sessions", f"0..<{session_count}", *self.session,
                  "--out", self.file("correlations"))
        with open(tokens) as file:
            texts = json.load(file)
        texts = texts if isinstance(texts[0], list) else [texts]
        text = next((t for t in texts if len(t) >= a.prompt), None)
        if text is None:
            raise Failure(f"{tokens}: no text has {a.prompt} tokens")
        with open(self.file("prompt.json"), "w") as file:
            json.dump(text[:a.prompt], file)

    def predicted(self, rtt, bandwidth):
        """The seconds of the parts of a step's time, by name."""
        cost = json.loads(self.tool(
            "lodge-check", "cost", self.file("model.lodge"), *self.session, "--rtt", rtt, "--bandwidth",
            bandwidth, "--deployment", "provider-user" if self.has_user else "two-server", "--json",
            is_timed=True))
        return cost["seconds"][self.step]

    def party(self, number, peer):
        bundle = "shares/provider/provider.bundle" if self.has_user else f"shares/party{number}.bundle"
        return Service(
            [*self.precedence, os.path.join(self.arguments.tools, "lodge-party"), "--party", str(number),
             "--bundle", self.file(bundle), "--correlations", self.file(f"correlations/party{number}"),
             "--listen", "127.0.0.1:0", *self.options] + ([] if self.has_user else ["--peer", peer]), 1)

    def link(self, *words):
        return Service([os.path.join(ROOT, "tools", "link"), *words], words.count("--to"))

    def measured(self, rtt, bandwidth):
        """Seconds of a step in each session, and what the emulators say of themselves."""
        seconds = []
        with self.deployment(["--rtt", rtt, "--bandwidth", bandwidth]) as services:
            for _ in range(self.arguments.repeat):
                seconds += [step["seconds"] for step in self.steps(self.answer(services))]
        return seconds, [line for service in services.links for line in service.lines]

    def answer(self, services, *options):
        """What the client says of a session."""
        parties = ["--party0", services.addresses[0], "--party1", services.addresses[-1]]
        if self.has_user:
            parties = ["--provider", services.addresses[0], "--bundle", self.file("shares/user/user.bundle"),
                       "--correlations", self.file("correlations/party1")]
        new = [] if self.step == "text" else ["--new", str(self.arguments.new)]
        return json.loads(self.tool(
            "lodge-client", *parties, "--tokens", self.file("prompt.json"), *new, "--json", *options,
            is_timed=True))

    def steps(self, answer):
        """The steps of a session that are measured."""
        return answer["steps"][1:] if self.step == "token" else answer["steps"][:1]

    @contextlib.contextmanager
    def deployment(self, speed=None):
        """Two parties and the addresses at which a client finds them; links of that speed where it is given."""
        running = []

        def start(service):
            running.append(service)
            return service

        def pair(address):
            return ["--listen", "127.0.0.1:0", "--to", address]
        try:
            party0 = start(self.party(0, "127.0.0.1:0"))
            links = []
            peer = party0.addresses[0]
            if speed:
                links.append(start(self.link("--link", "parties", *speed, *pair(peer))))
                peer = links[0].addresses[0]
            if self.has_user:
                yield Deployment([party0], links, [peer])
                return
            party1 = start(self.party(1, peer))
            addresses = [party0.addresses[0], party1.addresses[0]]
            if speed:
                links.append(start(self.link(
                    "--link", "client", *speed, *pair(addresses[0]), *pair(addresses[1]))))
                addresses = links[1].addresses
            yield Deployment([party0, party1], links, addresses)
        finally:
            for service in reversed(running):
                service.stop()


def text(seconds):
    return f"{1e3 * seconds:.1f} ms"


def main():
    parser = argparse.ArgumentParser(
        prog="tools/measure/link", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="a checkpoint")
    parser.add_argument("--tokens", help="texts to calibrate on (default: calibration.json in MODEL)")
    parser.add_argument("--recipe", default="accurate")
    parser.add_argument("--deployment", choices=["two-server", "provider-user"], default="two-server")
    parser.add_argument("--output", help="of an encoder, as of lodge-model")
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--new", type=int, default=9, help="new tokens of a session (decoder)")
    parser.add_argument("--repeat", type=int, default=3, help="sessions in each setting")
    parser.add_argument("--setting", action="append", metavar="RTT,BANDWIDTH",
                        help=f"may be repeated (default: {' '.join(SETTINGS)})")
    parser.add_argument("--tolerance", type=float, default=0.1)
    parser.add_argument("--precedence", action="store_true",
                        help="run what is timed before all other work (chrt, as root), where there is such work")
    parser.add_argument("--tools", default=os.path.join(ROOT, ".build", "release"), metavar="DIR")
    arguments = parser.parse_args()
    settings = [setting.partition(",")[::2] for setting in arguments.setting or SETTINGS]
    misses = 0
    try:
        with tempfile.TemporaryDirectory(prefix="lodge-measure-link-") as folder:
            measurement = Measurement(arguments, folder)
            measurement.prepare(len(settings) * arguments.repeat)
            header = ["round trip", "bandwidth", "predicted", "flights", "bytes", "compute", "client",
                      f"measured {measurement.step}", "fastest", "slowest", "measured / predicted"]
            print("| " + " | ".join(header) + " |\n" + "| ---: " * len(header) + "|")
            notes = []
            for rtt, bandwidth in settings:
                time = measurement.predicted(rtt, bandwidth)
                seconds, said = measurement.measured(rtt, bandwidth)
                median = statistics.median(seconds)
                ratio = median / time["total"]
                misses += abs(ratio - 1) > arguments.tolerance
                notes += [f"{rtt}, {bandwidth}: {line}" for line in said
                          if line.startswith("link: ")]
                print("| " + " | ".join(
                    [rtt, bandwidth, text(time["total"])]
                    + [text(time[part]) for part in ("flights", "bytes", "compute", "client")]
                    + [text(median), text(min(seconds)), text(max(seconds)), f"{ratio:.3f}"]) + " |",
                    flush=True)
            print("\n".join(notes), file=sys.stderr)
    except (Failure, OSError, KeyError, ValueError, IndexError) as error:
        print(f"measure-link: error: {error}", file=sys.stderr)
        return 1
    if misses:
        print(f"measure-link: error: {misses} of {len(settings)} settings are further than "
              f"{100 * arguments.tolerance:.0f} % from the prediction", file=sys.stderr)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
