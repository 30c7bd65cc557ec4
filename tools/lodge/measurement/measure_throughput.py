"""Measures how many tokens a second several clients get together, beside one client alone.

    tools/measure/throughput Tests/Fixtures/opt-dickens-5m --clients 1,2,4,8
    tools/measure/throughput opt-dickens-5m --setting 40ms,100Mbps --at-least 4

MODEL is a checkpoint; it is converted, shared and dealt in a folder that goes afterwards. Two parties with one emulated
link between them (tools/link), and clients with another to both, all processes of this machine. Clients begin together,
each with a session of its own; what counts are all new tokens, from the start of the clients to the end of the last.
With --memory it tells instead what a session adds to party 0's memory.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
import urllib.request

from lodge.assaults.wire import Client
from lodge.measurement.measure_link import ROOT, Failure, Measurement


class Throughput(Measurement):
    """Parties that serve as many sessions at once as there are clients."""

    def __init__(self, arguments, folder):
        super().__init__(arguments, folder)
        self.options = ["--concurrent", str(max(arguments.clients)), "--metrics", "0"]

    def run(self, services, count):
        """Tokens a second of `count` clients together, and the seconds of their steps."""
        start = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(lambda _: self.answer(services), range(count)))
        seconds = time.monotonic() - start
        steps = [step["seconds"] for answer in answers for step in answer["steps"][1:]]
        return len(answers) * self.arguments.new / seconds, steps


    def memory(self, count):
        """Bytes a session of `count`: of its files, idle between steps, at most in steps, and as party 0 estimates."""
        with self.deployment() as services:
            party = services.parties[0]
            ports = [int(address.rpartition(":")[2]) for address in services.addresses]
            told = next(line for line in party.lines + self.later(party) if "tells metrics at" in line)
            before = held(party)
            peak, is_over = [before], threading.Event()

            def watch():
                while not is_over.wait(0.002):
                    peak[0] = max(peak[0], held(party), key=lambda bytes: bytes["RssAnon"])
            threading.Thread(target=watch, daemon=True).start()
            a = self.arguments
            clients = [Client(ports, random.Random(number), prompt=a.prompt, new=a.new) for number in range(count)]
            threads = [threading.Thread(target=client.step, args=(a.prompt,)) for client in clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            is_over.set()
            idle = held(party)
            with urllib.request.urlopen(re.search(r"http://\S+", told)[0]) as answer:
                text = answer.read().decode()
            estimate = int(re.search(r"^lodge_session_memory_bytes (\d+)", text, re.M)[1])
            for client in clients:
                client.close()
            files = idle["RssFile"] + idle["RssShmem"] - before["RssFile"] - before["RssShmem"]
            return [bytes / count for bytes in (
                files, idle["RssAnon"] - before["RssAnon"], peak[0]["RssAnon"] - before["RssAnon"], estimate)]

    @staticmethod
    def later(service):
        """Lines that a service says after its address."""
        end = time.monotonic() + 10
        while time.monotonic() < end and not any("connected to" in line for line in service.lines):
            time.sleep(0.05)
        return service.lines


def held(service):
    """Bytes of a process's memory by kind."""
    with open(f"/proc/{service.process.pid}/status") as file:
        return {name: 1024 * int(value) for name, value in re.findall(r"^(Rss\w+):\s+(\d+) kB", file.read(), re.M)}


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
    parser.add_argument("--setting", default="10ms,1Gbps", metavar="RTT,BANDWIDTH",
                        help="of both links (default: 10ms,1Gbps), or \"none\" for this machine's own loopback")
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--at-least", type=float, metavar="X",
                        help="fail where the most clients get less than X times one client's tokens a second")
    parser.add_argument("--precedence", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tools", default=os.path.join(ROOT, ".build", "release"), metavar="DIR")
    arguments = parser.parse_args()
    rtt, _, bandwidth = arguments.setting.partition(",")
    speed = ["--rtt", rtt, "--bandwidth", bandwidth] if bandwidth else None
    try:
        with tempfile.TemporaryDirectory(prefix="lodge-measure-throughput-") as folder:
            measurement = Throughput(arguments, folder)
            measurement.prepare(sum(arguments.clients))
            if arguments.memory:
                print("| sessions | file | idle | at most, in steps | estimate |\n" + "| ---: " * 5 + "|")
                for count in arguments.clients:
                    print(f"| {count} | " + " | ".join(
                        f"{bytes / 1e6:.1f} MB" for bytes in measurement.memory(count)) + " |", flush=True)
                return 0
            print("| clients | tokens a second | to one | median step | slowest step | processor a token |")
            print("| ---: " * 6 + "|")
            first = None
            for count in arguments.clients:
                with measurement.deployment(speed) as services:
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
