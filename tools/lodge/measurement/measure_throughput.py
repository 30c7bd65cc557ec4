"""Measures how many tokens a second several clients get together, beside one client alone.

    tools/measure/throughput Tests/Fixtures/opt-dickens-5m --clients 1,2,4,8
    tools/measure/throughput opt-dickens-5m --setting 40ms,100Mbps --at-least 4

MODEL is a checkpoint; it is converted, shared and dealt in a folder that goes afterwards. Two parties with one emulated
link between them (tools/link), and clients with another to both, all processes of this machine. Clients begin together,
each with a session of its own; what counts are all new tokens, from the start of the clients to the end of the last.
"""

import argparse
import concurrent.futures
import json
import os
import sys
import tempfile
import time

from lodge.measurement.measure_link import ROOT, Failure, Measurement


class Throughput(Measurement):
    """Parties that serve as many sessions at once as there are clients."""

    def __init__(self, arguments, folder):
        super().__init__(arguments, folder)
        self.options = ["--concurrent", str(max(arguments.clients))]

    def run(self, services, count):
        """Tokens a second of `count` clients together, and the seconds of their steps."""
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(lambda _: self.answer(services), range(count)))
        seconds = time.monotonic() - start
        steps = [step["seconds"] for answer in answers for step in answer["steps"][1:]]
        return len(answers) * self.arguments.new / seconds, steps


def main():
    parser = argparse.ArgumentParser(
        prog="tools/measure/throughput", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", help="a checkpoint")
    parser.add_argument("--tokens", help="texts to calibrate on (default: calibration.json in MODEL)")
    parser.add_argument("--recipe", default="accurate")
    parser.add_argument("--output", help=argparse.SUPPRESS)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--new", type=int, default=32, help="new tokens of a session")
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 8],
                        metavar="N,N", help="numbers of clients at once (default: 1,8)")
    parser.add_argument("--setting", default="10ms,1Gbps", metavar="RTT,BANDWIDTH")
    parser.add_argument("--at-least", type=float, metavar="X",
                        help="fail where the most clients get less than X times one client's tokens a second")
    parser.add_argument("--precedence", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tools", default=os.path.join(ROOT, ".build", "release"), metavar="DIR")
    arguments = parser.parse_args()
    rtt, _, bandwidth = arguments.setting.partition(",")
    try:
        with tempfile.TemporaryDirectory(prefix="lodge-measure-throughput-") as folder:
            measurement = Throughput(arguments, folder)
            measurement.prepare(sum(arguments.clients))
            print("| clients | tokens a second | to one | median step | slowest step | processor a token |")
            print("| ---: " * 6 + "|")
            first = None
            for count in arguments.clients:
                with measurement.deployment(["--rtt", rtt, "--bandwidth", bandwidth]) as services:
                    before = sum(party.processor_seconds() for party in services.parties)
                    rate, steps = measurement.run(services, count)
                    used = sum(party.processor_seconds() for party in services.parties) - before
                steps.sort()
                first = first or rate
                print(f"| {count} | {rate:.2f} | {rate / first:.2f} | {1e3 * steps[len(steps) // 2]:.0f} ms | "
                      f"{1e3 * steps[-1]:.0f} ms | {1e3 * used / (count * arguments.new):.1f} ms |", flush=True)
    except (Failure, OSError, KeyError, ValueError, IndexError) as error:
        print(f"measure-throughput: error: {error}", file=sys.stderr)
        return 1
    if arguments.at_least and rate < arguments.at_least * first:
        print(f"measure-throughput: error: {rate / first:.2f} times one client's, not {arguments.at_least}",
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
