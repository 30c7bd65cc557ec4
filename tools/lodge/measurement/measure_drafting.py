"""Measures how many steps drafts save: `lodge-client --draft` beside the same questions without it.

    tools/measure/drafting Tests/Fixtures/opt-dickens-5m --start 2
    tools/measure/drafting opt-dickens-5m --start 2 --setting 10ms,1Gbps --at-least 1.8

MODEL is a checkpoint with its tokenizer; it is converted, shared and dealt in a folder that goes afterwards. Asked are the
lines of --texts (repetitive.txt in MODEL), and the beginnings of the held-out windows in evaluation.json. Two parties, with
one emulated link between them where --setting says so (tools/link). A text that is not the same counts as one that differs:
where two logits are nearer than fixed point tells apart, other masks may choose the other.
"""

import argparse
import json
import os
import sys
import tempfile

from lodge.measurement.measure_link import ROOT, Failure, Measurement


class Drafting(Measurement):
    def texts(self):
        """Token ids of the texts that repeat themselves, and of the windows."""
        a = self.arguments
        start = ["--start", str(a.start)] if a.start is not None else []
        repetitive = json.loads(self.tool(
            "lodge-model", "tokenize", a.model, "--text",
            a.texts or os.path.join(a.model, "repetitive.txt"), "--list", *start))
        with open(os.path.join(a.model, "evaluation.json"), encoding="utf-8") as file:
            windows = [window[:a.window] for window in json.load(file)]
        return {"repetitive prompts": repetitive, "held-out windows": windows}

    def ask(self, services, prompt, *options):
        with open(self.file("prompt.json"), "w", encoding="utf-8") as file:
            json.dump(prompt, file)
        return self.answer(services, *options)


def main():
    parser = argparse.ArgumentParser(
        prog="tools/measure/drafting", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="a checkpoint with its tokenizer")
    parser.add_argument("--tokens", help="texts to calibrate on (default: calibration.json in MODEL)")
    parser.add_argument("--texts", help="texts that repeat themselves, one a line (default: repetitive.txt in MODEL)")
    parser.add_argument("--start", type=int, help="token to put before each text")
    parser.add_argument("--recipe", default="accurate")
    parser.add_argument("--draft", default="repeats", metavar="repeats|MODEL",
                        help="what guesses (default: %(default)s)")
    parser.add_argument("--output", help=argparse.SUPPRESS)
    parser.add_argument("--window", type=int, default=64, help="tokens of a held-out window")
    parser.add_argument("--new", type=int, default=64, help="new tokens of an answer")
    parser.add_argument("--setting", metavar="RTT,BANDWIDTH", help="of both links (default: none)")
    parser.add_argument("--at-least", type=float, metavar="X",
                        help="fail where the repetitive prompts take not X times fewer steps")
    parser.add_argument("--precedence", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tools", default=os.path.join(ROOT, ".build", "release"), metavar="DIR")
    arguments = parser.parse_args()
    rtt, _, bandwidth = (arguments.setting or "").partition(",")
    speed = ["--rtt", rtt, "--bandwidth", bandwidth] if bandwidth else None
    ratios = {}
    try:
        with tempfile.TemporaryDirectory(prefix="lodge-measure-drafting-") as folder:
            measurement = Drafting(arguments, folder)
            texts = measurement.texts()
            arguments.prompt = max(len(ids) for group in texts.values() for ids in group)
            # A session has room for drafts as well, which --new of the deal counts.
            new, arguments.new = arguments.new, 2 * arguments.new
            measurement.prepare(2 * sum(map(len, texts.values())))
            arguments.new = new
            print("| questions | answers | steps | with drafts | fewer | drafts came true | same texts | seconds, with |")
            print("|---|" + " ---: |" * 7)
            with measurement.deployment(speed) as services:
                for name, prompts in texts.items():
                    plain = [measurement.ask(services, prompt) for prompt in prompts]
                    drafted = [measurement.ask(services, prompt, "--draft", arguments.draft) for prompt in prompts]
                    steps, fewer = (sum(len(answer["steps"]) for answer in group) for group in (plain, drafted))
                    same = sum(a["tokens"] == b["tokens"] for a, b in zip(plain, drafted))
                    true, all_drafts = (sum(answer[key] for answer in drafted) for key in ("accepted", "drafted"))
                    seconds = [sum(answer["seconds"] for answer in group) for group in (plain, drafted)]
                    ratios[name] = steps / fewer
                    print(f"| {name} | {len(prompts)} x {new} | {steps} | {fewer} | {steps / fewer:.2f} x | "
                          f"{true} of {all_drafts} | {same} of {len(prompts)} | "
                          f"{seconds[0]:.1f}, {seconds[1]:.1f} |", flush=True)
    except (Failure, OSError, KeyError, ValueError, IndexError) as error:
        print(f"measure-drafting: error: {error}", file=sys.stderr)
        return 1
    if arguments.at_least and ratios["repetitive prompts"] < arguments.at_least:
        print(f"measure-drafting: error: {ratios['repetitive prompts']:.2f} times fewer steps, not "
              f"{arguments.at_least}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
