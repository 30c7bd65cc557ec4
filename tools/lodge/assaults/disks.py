"""Ledgers on full and read-only disks, and a machine without descriptors, at either party."""

import os
import resource
import subprocess
import time

from lodge.assaults.clients import honest
from lodge.assaults.deployment import Pair
from lodge.assaults.tally import Budget
from lodge.assaults.wire import Client, Closed, serve

DISK_BYTES = 256 << 10
# The faults that a ledger can meet.
FAULTS = ("full", "read-only", "no descriptors", "full in a session")


class Disk:
    """A small file system in memory; only root may make one."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "lodge-assault", folder)

    @staticmethod
    def mount(*arguments):
        subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True)

    def fill(self):
        with open(self.folder / "filler", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def empty(self):
        (self.folder / "filler").unlink(missing_ok=True)


def begin(disk, party, fault):
    """Makes the fault; returns what ends it."""
    if fault.startswith("full"):
        disk.fill()
        return disk.empty
    if fault == "read-only":
        # Another file system, on which nothing can be written, in the place of the ledger's folder.
        disk.mount("-t", "tmpfs", "-o", "ro", "lodge-assault", disk.folder)
        return disk.unmount
    pid = party.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    count = len(os.listdir(f"/proc/{pid}/fd"))
    # Enough for a client's connection and none for a file.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count + 1, limits[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def refused(pair, random):
    """Whether a client gets no session; one that does uses it to its end."""
    try:
        serve(pair.ports, random)
        return False
    except (OSError, Closed):
        return True


def strike(pair, disk, party, fault, row, random, tries):
    """One fault: clients are refused while it lasts, nothing is burned, and it heals."""
    tally = pair.tally
    if fault == "full in a session":
        tally.add(row, "tried")
        with Client(pair.ports, random) as client:
            client.step()
            heal = begin(disk, pair.parties[party], fault)
            try:
                client.end()
                tally.add(row, "passed")
            except (OSError, Closed):
                tally.add(row, "refused")
    else:
        heal = begin(disk, pair.parties[party], fault)
    try:
        for _ in range(tries):
            tally.add(row, "tried")
            if refused(pair, random):
                tally.add(row, "refused")
            elif fault == "no descriptors":
                # Another connection may have ended, and left one.
                tally.add(row, "passed")
            else:
                tally.add(row, "accepted", why=f"a session without a ledger: {fault}, {party}")
    finally:
        heal()
    pair.check(row)
    # The next client is served without a restart.
    return honest(pair, row, random) is not None


def attack(deployment, random, seconds, count, short):
    tally = deployment.tally
    row = tally.row("clients while a ledger or machine fails")
    start = time.monotonic()
    budget = Budget(seconds, count)
    healed = []
    for party in range(2):
        name = f"disks{party}"
        disk = pair = None
        try:
            try:
                disk = Disk(deployment.folder / f"{name}.disk")
            except (OSError, subprocess.CalledProcessError):
                row.note = "skipped: small disks need root"
                return
            ledgers = [None, None]
            ledgers[party] = disk.folder / "party.ledger"
            pair = Pair(deployment, name, 40 if short else 120, ledgers=ledgers).start_both()
            honest(pair, row, random)
            rounds = 0
            while budget.left > 12 and (rounds == 0 or (not short and rounds < 6)):
                for fault in FAULTS:
                    if rounds and not budget.take(0):
                        break
                    healed.append(strike(pair, disk, party, fault, row, random,
                                         1 if short else 3))
                rounds += 1
                if time.monotonic() > start + seconds * (party + 1) / 2:
                    break
            pair.stop(row)
            burned = pair.unfinished()
            tally.add(row, "burned", len(burned), why=f"party {party}: {sorted(burned)[:5]}")
        finally:
            if pair:
                pair.kill()
            if disk:
                disk.unmount()
    row.seconds = time.monotonic() - start
    row.note = f"{len(healed)} faults, {sum(healed)} healed without a restart"
