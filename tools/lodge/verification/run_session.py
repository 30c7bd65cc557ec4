#!/usr/bin/env python3
"""Evaluates a session as both parties would, in one process and with no code of Lodge.

Written from formats/program.md. Slow, and it sees everything: for tests and audits of small models.

    run_session.py shares/party{0,1}.bundle corr/party{0,1}/000000.corr --tokens "[[5,7,1],[4]]"

prints the output words of each step, in hexadecimal, one row a line. The list has the tokens of each step, or
{"tokens": [4, 2], "kept": 3, "outputs": 2}: how many rows of the step before stay, and how many rows give outputs.
"""

import argparse
import json
import sys

import numpy as np

from lodge.verification.check_session import Session
from lodge.verification.masked_words import U
from lodge.verification.read_bundle import FormatError, PROVIDER_USER, Pair
from lodge.verification.read_container import ContainerError
from lodge.verification.step_blocks import Blocks
from lodge.verification.step_layout import Layout
from lodge.verification.step_local import Local
from lodge.verification.step_opened import Opened
from lodge.verification.step_permuted import PermutedFunctions
from lodge.verification.step_tables import Tables


class Run(Layout, Opened, Tables, Blocks, PermutedFunctions, Local):
    """The steps of one session; `shared` holds a pair of shares for each shared value."""

    def __init__(self, session):
        self.session, self.decoder = session, session.program["kind"] != "encoder"
        weights = range(len(session.program["weights"]))
        self.weights = [[b.share(i) for i in weights] for b in session.pair.bundles]
        attended = [n["reads"][1] for n in session.nodes if n["name"] in ("scores", "mix")]
        self.kept = {value: None for value in attended} if self.decoder else {}
        # The first slot and output of the step, and the slots of the text before and with it.
        self.row = self.index = self.prompt = self.outputs = 0
        self.text, self.last = [], range(0)
        self.used, self.running, self.run_keys = {}, {}, {}  # By the value that decides.

    def step(self, inputs, kept=None, outputs=1, own=None):
        """Output words of the next rows; `inputs` are plaintext words [rows, width], `own` party 1's share."""
        self.count, self.outputs = len(inputs), outputs
        self.text = self.text[:len(self.text) - len(self.last)] + list(self.last)[:kept]
        self.position = len(self.text)
        self.last = range(self.row, self.row + self.count)
        self.text = self.text + list(self.last)
        if self.index == 0:
            self.prompt = self.count - outputs + 1
        if self.session.deployment == PROVIDER_USER:  # The user keeps all of it.
            own = inputs.ravel()
        if own is None:
            own = np.random.default_rng(1).integers(0, 2**64, inputs.size, dtype=U)
        self.openings = {}
        self.shared, self.masked = {0: [inputs.ravel() - own, own]}, {}
        for index, node in enumerate(self.session.nodes):
            if node["name"] == "output":
                self.output, bits = self.shared[node["reads"][0]], node.get("bits", 64)
            elif node["name"] != "input":
                getattr(self, "do_" + node["name"])(index, node, node["reads"],
                                                    self.session.first_value[index])
        self.row, self.index = self.row + self.count, self.index + outputs
        unused = U(64 - bits)
        return ((sum(self.output) << unused).view(np.int64) >> unused.astype(np.int64)).view(U)

    def both(self, result, function):
        self.shared[result] = [function(p) for p in (0, 1)]


def steps_of(text):
    """The steps that are run, from JSON."""
    try:
        return json.loads(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "is not JSON: give the tokens themselves, such as '[[2, 5, 7], [3]]'") from None


def main():
    parser = argparse.ArgumentParser(prog="run-session", description=__doc__.split("\n")[0])
    for name in ("bundle0", "bundle1", "session0", "session1"):
        parser.add_argument(name)
    parser.add_argument("--tokens", required=True, type=steps_of,
                        help="JSON: the list of tokens of each step")
    parser.add_argument("--openings", help="a JSON file for what each step opens, by operation")
    arguments = parser.parse_args()
    try:
        session = Session(
            Pair(arguments.bundle0, arguments.bundle1), [arguments.session0, arguments.session1])
        if session.program["clientInput"] != "oneHot":
            raise FormatError("this program's input needs client.bundle, which is not read")
        run = Run(session)
        np.seterr(over="ignore")
        openings = []
        for step in arguments.tokens:
            step = step if isinstance(step, dict) else {"tokens": step}
            rows = np.eye(session.program["vocabularySize"], dtype=U)[step.pop("tokens")]
            words = run.step(rows, **step)
            width = session.values[session.nodes[-1]["reads"][0]]["columns"][1]
            for row in words.reshape(-1, width):
                print(" ".join(f"{int(x):016x}" for x in row), flush=True)
            openings.append({node: [f"{int(x):016x}" for x in words]
                             for node, words in run.openings.items()})
        if arguments.openings:
            with open(arguments.openings, "w") as file:
                json.dump(openings, file)
        return 0
    except (FormatError, ContainerError, OSError, KeyError, ValueError, IndexError) as error:
        print(f"run-session: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
