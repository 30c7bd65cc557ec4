"""One lodge-client: what it is given, what it says, and its end."""

import asyncio
import contextlib
import json

# An embedding stands on one line.
LONGEST_LINE = 16 << 20
SECONDS_TO_END = 2
SECONDS_TO_FINISH = 10


class Client:
    """A lodge-client that answers one request, or with `--lines` one after another."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def start(cls, command, options):
        return cls(await asyncio.create_subprocess_exec(
            *command, "--request", "-", *options, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=LONGEST_LINE,
            start_new_session=True))

    def is_there(self):
        return self.process.returncode is None and not self.process.stdout.at_eof()

    async def ask(self, request, is_last):
        # One that has ended already says why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            await self.process.stdin.drain()
        if is_last:
            self.process.stdin.close()

    async def events(self):
        """What it says, until it ends."""
        async for line in self.process.stdout:
            yield json.loads(line)

    async def has_failed(self):
        return await self.process.wait() != 0

    async def finish(self):
        """Lets it end its session, as one does that nobody asks any more."""
        self.process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), SECONDS_TO_FINISH)
        await self.end()

    async def end(self):
        """Ends it where it still runs, so that no more tokens are computed."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), SECONDS_TO_END)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
