"""Measures models of published shapes, made with seeded weights: flights, bytes, correlations, memory and time.

    tools/measure/shapes bert-base                     # converted, shared, dealt and run on this machine
    tools/measure/shapes gpt2-small --recipe pcft      # over an emulated link as well
    tools/measure/shapes llama-7b                      # 2 layers of the full width
    tools/measure/shapes chatglm-6b                    # costs alone, of 2 and 3 layers added up to 28
    tools/measure/shapes opt-6.7b --gates 0.05 0.1     # beside gates that open 5 and 10 % of the blocks

One depth is run: two parties and a client on loopback, sessions one after the other, each dealt right before it, so
that one lies on the disk at a time. Of two depths costs are computed, which need no shares, and continued to the
published depth in a straight line: what a middle layer adds is what one depth has more than the other. Flights and
bytes of cost are compared with what the parties count. All files lie in --work and go afterwards.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile

from lodge.measurement.measure_conversion import measured
from lodge.measurement.measure_link import Failure, Measurement, text
from lodge.measurement.shape_checkpoints import SHAPES, write_checkpoint, write_gates

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


def table(header, rows):
    """A table of Markdown; the first column is text."""
    print("| " + " | ".join(header) + " |\n| ---" + " | ---:" * (len(header) - 1) + " |")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def size(count):
    for unit, name in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]:
        if count >= unit:
            return f"{count / unit:.3g} {name}" if count < 1e3 * unit else f"{count / unit:,.0f} {name}"
    return f"{count:.0f} B"


def continued(low, high, depths, depth):
    """Each number of a document at `depth`, on the line through those at both `depths`."""
    if isinstance(low, dict):
        return {key: continued(low[key], high[key], depths, depth) for key in low if key in high}
    if isinstance(low, list):
        return [continued(*pair, depths, depth) for pair in zip(low, high)]
    if isinstance(low, (int, float)) and not isinstance(low, bool):
        return high + (high - low) * (depth - depths[1]) / (depths[1] - depths[0])
    return high


class ShapeMeasurement(Measurement):
    """A checkpoint of `layers` layers, and its conversion by one recipe after another."""

    def __init__(self, arguments, shape, layers, folder):
        arguments.prompt, arguments.new = shape.prompt, shape.new
        super().__init__(arguments, folder)
        self.shape, self.layers = shape, layers
        self.step = "token" if shape.is_decoder else "text"
        self.session = ["--prompt", str(shape.prompt)]
        self.session += ["--new", str(shape.new)] if shape.is_decoder else []
        self.network = ["--rtt", arguments.rtt, "--bandwidth", arguments.bandwidth]
        self.token_count = shape.prompt + shape.new - 1
        self.session_count, self.commands = 0, []
        self.weight_count = write_checkpoint(self.file("checkpoint"), shape, layers, arguments.seed)
        self.calibration = self.file("checkpoint/calibration.json")
        with open(self.calibration) as file:
            prompt = json.load(file)[0][:shape.prompt]
        with open(self.file("prompt.json"), "w") as file:
            json.dump(prompt, file)

    def run(self, name, *words):
        """Runs a command, and notes its time and peak memory."""
        seconds, peak = measured([os.path.join(self.arguments.tools, name), *words])
        label = f"{name} {words[0]}" if name == "lodge-model" else name
        self.commands.append((label, seconds, peak))
        return seconds

    def convert(self, recipe, density=None, fractional_bits=None):
        """Converts with a recipe, with `fractional_bits` where they are given, and returns what that costs."""
        a = self.arguments
        gates = self.file("gates.safetensors")
        self.has_gates = density is not None
        if density is not None:
            write_gates(gates, self.shape, self.layers, density, a.block_width, a.rank, a.seed)
        options = ["--embedding", a.embedding] if a.embedding else []
        options += ["--compare", a.compare] if a.compare else []
        options += ["--gates", gates] if density is not None else []
        # Weights and texts are made up.
        options += ["--accept-leakage"]
        if fractional_bits is not None:
            stated = json.loads(self.tool("lodge-model", "recipes", recipe))
            recipe = self.file("recipe.json")
            with open(recipe, "w") as file:
                json.dump(stated | {"fractionalBits": fractional_bits}, file)
        self.run("lodge-model", "approximate", self.file("checkpoint"), "--tokens", self.calibration,
                 "--recipe", recipe, *options, *self.network, "--out", self.file("model.lodge"))
        found = json.loads(self.tool("lodge-check", "verify", self.file("model.lodge"), "--all", "--json"))
        self.fractional_bits = found["header"]["recipe"]["fractionalBits"]
        self.cost = json.loads(self.tool("lodge-check", "cost", self.file("model.lodge"), *self.session,
                                         *self.network, "--deployment", a.deployment, "--no-compute",
                                         "--json"))
        return self.cost

    def deal(self):
        """Deals the next session and returns the seconds that it took."""
        dealer = self.file("shares/dealer" if self.has_user else "shares")
        seconds = self.run("lodge-deal", dealer, "--sessions",
                           f"{self.session_count}..<{self.session_count + 1}", *self.session,
                           "--out", self.file("correlations"))
        self.session_count += 1
        return seconds

    def share(self):
        self.run("lodge-model", "share", self.file("model.lodge"), "--out", self.file("shares"),
                 "--deployment", self.arguments.deployment)

    def drop(self):
        """Removes what was made by a recipe."""
        os.remove(self.file("model.lodge"))
        for folder in ("shares", "correlations"):
            shutil.rmtree(self.file(folder), ignore_errors=True)
        self.session_count = 0

    def drop_session(self):
        for party in (0, 1):
            os.remove(self.file(f"correlations/party{party}/{self.session_count - 1:06}.corr"))

    def serve(self, speed):
        """Seconds of the measured steps of --repeat sessions, after one that warms up, and the processor
        time of each session: that of both parties, or of provider and user."""
        seconds, processor, user_peak = [], [], 0
        self.deal()
        with self.deployment(speed) as services:
            for index in range(self.arguments.repeat + 1):
                if index:
                    self.deal()
                before = [party.processor_seconds() for party in services.parties]
                answer = self.answer(services)
                after = [party.processor_seconds() for party in services.parties]
                used = [sum(after) - sum(before)]
                if self.has_user:
                    used.append(self.usage.ru_utime + self.usage.ru_stime)
                    user_peak = max(user_peak, 1024 * self.usage.ru_maxrss)
                self.check(answer)
                self.drop_session()
                if index:
                    seconds += [step["seconds"] for step in self.steps(answer)]
                    processor.append(used)
            self.parties = [(f"lodge-party {number}", None, party.peak_byte_count())
                            for number, party in enumerate(services.parties)]
            self.parties += [("lodge-client", None, user_peak)] if self.has_user else []
        return seconds, processor

    def answer(self, services):
        bundle = self.file("shares/client.bundle")
        return super().answer(services, *(["--bundle", bundle] if os.path.exists(bundle) else []))

    def check(self, answer):
        """Compares what the parties counted in the measured step with what `cost` says."""
        said = self.cost["total"]["token" if self.step == "token" else "prompt"]
        wanted = (said["rounds"], *said["bytesOfParties"])
        steps = answer["steps"]
        # Each step tells what was counted up to its end.
        first = steps[-2] if len(steps) > 1 else None
        found = tuple(steps[-1][key] - (first[key] if first else 0)
                      for key in ("rounds", "party0BytesSent", "party1BytesSent"))
        # Of gates cost says what is expected: how many blocks run depends on the token.
        slack = 0.02 if self.has_gates else 0
        if found[0] != wanted[0] or any(abs(f - w) > slack * w for f, w in zip(found[1:], wanted[1:])):
            raise Failure(f"the parties counted {found} flights and bytes, cost says {wanted}")


def cost_row(name, cost, token_count, step):
    part = "token" if step == "token" else "prompt"
    total, seconds = cost["total"][part], cost["seconds"][part if step == "token" else step]
    dealt = [sum(cost["compare"][kind]["correlations"][f"party{p}Bytes"] for p in (0, 1))
             for kind in ("keys", "bits")]
    # In a file alone, where both servers' have them else.
    once = cost.get("keysOnce", cost["total"]["correlations"])
    dealt.insert(1, once["party0Bytes"] + once["party1Bytes"])
    bits = cost["compare"]["bits"][part]
    sent = [size(count) for count in total["bytesOfParties"]]
    if total["aheadBytes"]:
        sent[1] += f" ({size(total['aheadBytes'])} of it dealt)"

    def without_compute(times):
        return text(times["flights"] + times["bytes"] + times["client"])
    return [name, f"{total['rounds']:.0f}", sent[0] if sent[0] == sent[1] else " + ".join(sent),
            f"{bits['rounds']:.0f}, {size(bits['bytesPerParty'])}",
            *(size(count) for count in dealt), *(size(count / token_count) for count in dealt),
            *([without_compute(cost["seconds"]["prompt"])] if step == "token" else []),
            without_compute(seconds)]


def print_costs(costs, measurement, arguments):
    step = measurement.step
    table(["recipe", f"flights a {step}", "sent by each party", "by bits", "a session by keys",
           "keys once", "by bits", "a token by keys", "keys once", "by bits",
           *([f"a prompt of {measurement.shape.prompt}"] if step == "token" else []),
           f"a {step}, {arguments.rtt}, {arguments.bandwidth}, without compute"],
          [cost_row(name, cost, measurement.token_count, step) for name, cost in costs])


def variants(arguments):
    """(name, recipe, density of gates or None) of all that is measured."""
    return [(os.path.basename(recipe) + (f", {100 * density:g} % open" if density is not None else ""),
             recipe, density) for recipe in arguments.recipe for density in [None, *arguments.gates]]


def print_ends(name, cost, step):
    """What the embedding and the head cost: their parts of the program, and the client's link."""
    part = "token" if step == "token" else "prompt"
    rows = []
    for found in cost["parts"]:
        if found["part"] in ("embed", "logits", "output") and found[part]["bytesPerParty"] > 0:
            rows.append([f"{name}, {found['part']}", found[part]["rounds"],
                         size(found[part]["bytesPerParty"]), f"{found[part]['products'] / 1e6:,.0f}",
                         text(found[part]["bytesPerParty"] * 8 / cost["bitsPerSecond"])])
    rows.append([f"{name}, client's input and output", 2, "", "", text(cost["seconds"][step]["client"])])
    table(["ends of the program", f"flights a {step}", "sent by each party", "million products",
           "time of bytes (client: all)"], rows)


def print_steps(label, seconds, processor):
    used = [f"{statistics.median(times):.2f} s" for times in zip(*processor)]
    whose = "both parties compute " + used[0]
    if len(used) > 1:
        whose = f"the provider computes {used[0]} and the user {used[1]}"
    print(f"{label}: median {text(statistics.median(seconds))}, from {text(min(seconds))} to "
          f"{text(max(seconds))}, {len(seconds)} measured; {whose} of processor time a session", flush=True)


def run_depth(arguments, shape, layers, folder):
    """Everything of one depth: costs, and unless --cost is given sessions on this machine."""
    measurement = ShapeMeasurement(arguments, shape, layers, folder)
    print(f"{shape.title}: {layers} of {shape.layers} layers, "
          f"{measurement.weight_count / 1e6:,.0f} million weights\n", flush=True)
    for name, recipe, density in variants(arguments):
        measurement.commands = []
        print_costs([(name, measurement.convert(recipe, density))], measurement, arguments)
        print_ends(name, measurement.cost, measurement.step)
        if not arguments.cost:
            measurement.share()
            print_steps(f"{name}, loopback, a {measurement.step}", *measurement.serve(None))
            if arguments.link:
                print_steps(f"{name}, {arguments.rtt}, {arguments.bandwidth}, a {measurement.step}",
                            *measurement.serve(measurement.network))
            measurement.commands += measurement.parties
            print()
        rows = {}
        for label, seconds, peak in measurement.commands:
            rows.setdefault(label, []).append((seconds, peak))
        table([f"{name}, commands", "time", "peak memory"],
              [[label, "" if row[0][0] is None else text(statistics.median(r[0] for r in row)),
                size(max(r[1] for r in row))] for label, row in rows.items()])
        measurement.drop()


def add_depths(arguments, shape, folder):
    """Costs of two depths, and of the published one on the line through them."""
    costs = {name: [] for name, _, _ in variants(arguments)}
    # What the deeper one is planned with the other has as well: no line leads through two precisions.
    planned = {}
    for layers in reversed(arguments.layers):
        with tempfile.TemporaryDirectory(dir=folder) as part:
            measurement = ShapeMeasurement(arguments, shape, layers, part)
            for name, recipe, density in variants(arguments):
                costs[name].insert(0, measurement.convert(recipe, density, planned.get(name)))
                planned[name] = measurement.fractional_bits
                label, seconds, peak = measurement.commands[-1]
                print(f"measure-shapes: {layers} layers, {name}: {label} took "
                      f"{text(seconds)}, {size(peak)}", file=sys.stderr)
                measurement.drop()
    print(f"{shape.title}: costs of {arguments.layers[0]} and {arguments.layers[1]} layers, "
          f"added up to {shape.layers}\n")
    rows = []
    for name, pair in costs.items():
        rows += [(f"{name}, {layers} layers", cost) for layers, cost in zip(arguments.layers, pair)]
        rows.append((f"{name}, {shape.layers} layers",
                     continued(*pair, arguments.layers, shape.layers)))
    print_costs(rows, measurement, arguments)
    # The ends are the same at every depth, and nearly so with every recipe.
    name = next(iter(costs))
    print_ends(name, costs[name][1], measurement.step)


def main():
    parser = argparse.ArgumentParser(
        prog="tools/measure/shapes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", metavar="SHAPE", choices=SHAPES, help=", ".join(SHAPES))
    parser.add_argument("--deployment", choices=["two-server", "provider-user"], default="two-server")
    parser.add_argument("--recipe", action="append", metavar="RECIPE",
                        help="a name or a file; may be repeated (default: those of the shape)")
    parser.add_argument("--layers", metavar="N[,M]", help="one depth to run, or two to add up")
    parser.add_argument("--cost", action="store_true", help="of one depth too, costs alone")
    parser.add_argument("--embedding", metavar="HOLDER", help="as of lodge-model")
    parser.add_argument("--compare", metavar="WAY", help="as of lodge-model")
    parser.add_argument("--gates", type=float, nargs="+", default=[], metavar="DENSITY",
                        help="also with gates that open this share of the blocks (may be several)")
    parser.add_argument("--block-width", type=int, default=16, help="neurons of a block")
    parser.add_argument("--rank", type=int, default=64, help="of the gates")
    parser.add_argument("--rtt", default="10ms", help="of the network that costs, recipes and links are for")
    parser.add_argument("--bandwidth", default="1Gbps")
    parser.add_argument("--link", action=argparse.BooleanOptionalAction,
                        help="measure over emulated links too (default: as the shape says)")
    parser.add_argument("--repeat", type=int, default=3, help="sessions that are measured")
    parser.add_argument("--seed", type=int, default=1, help="of weights and texts")
    parser.add_argument("--precedence", action="store_true",
                        help="run parties and client before all other work (chrt, as root)")
    parser.add_argument("--work", metavar="DIR", help="folder for all files (default: the system's)")
    parser.add_argument("--tools", default=os.path.join(ROOT, ".build", "release"), metavar="DIR")
    arguments = parser.parse_args()
    for option, folder in [("--work", arguments.work), ("--tools", arguments.tools)]:
        if folder is not None and not os.path.isdir(folder):
            parser.error(f"{option} {folder}: there is no such folder; make it first")
    # Asked to end, it removes what lies there.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    shape = SHAPES[arguments.shape]
    arguments.recipe = arguments.recipe or shape.recipes
    if arguments.link is None:
        arguments.link = shape.has_link
    try:
        layers = [int(number) for number in arguments.layers.split(",")] if arguments.layers else shape.depths
        if len(layers) not in (1, 2) or min(layers) < 1 or len(set(layers)) != len(layers):
            parser.error("--layers takes one number, or two different ones")
        arguments.layers = sorted(layers)
        with tempfile.TemporaryDirectory(prefix="lodge-measure-shapes-", dir=arguments.work) as folder:
            if len(layers) == 1:
                run_depth(arguments, shape, layers[0], folder)
            else:
                add_depths(arguments, shape, folder)
    except (Failure, OSError, KeyError, ValueError, IndexError) as error:
        print(f"measure-shapes: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
