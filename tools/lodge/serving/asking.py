"""A request that lodge-client answers, in its turn."""

import asyncio
import contextlib

from lodge.serving.client import Client
from lodge.serving.errors import Refusal


class Places:
    """As many requests as run at once, and a queue with an end."""

    def __init__(self, count, waiting):
        self.count = count
        self.running = 0
        self.semaphore = asyncio.Semaphore(count)
        self.free = count + waiting

    @contextlib.asynccontextmanager
    async def take(self):
        if self.free == 0:
            raise Refusal(
                429, "too many requests wait here", "rate_limit_error", "rate_limit_exceeded",
                headers={"retry-after": "5"})
        self.free -= 1
        try:
            async with self.semaphore:
                self.running += 1
                try:
                    yield
                finally:
                    self.running -= 1
        finally:
            self.free += 1


class Asking:
    """A question that is being answered: its events, read as fast as they come.

    Whoever reads the answer slowly, or not at all, holds neither the session nor a place.
    """

    def __init__(self, command, places, conversations, question, record):
        self.command = command
        self.places = places
        self.conversations = conversations
        self.question = question
        self.record = record
        self.queue = asyncio.Queue()
        self.has_spent = False

    async def __aenter__(self):
        self.task = asyncio.create_task(self.pump())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def events(self):
        """The events in the order in which they come; throws what ended them early."""
        while (event := await self.queue.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    async def pump(self):
        try:
            async with self.places.take():
                await self.run()
            self.queue.put_nowait(None)
        except Exception as error:
            self.queue.put_nowait(error)

    async def run(self):
        question, kept = self.question, self.conversations
        goes_on = kept.most > 0 and bool(question.messages)
        client = kept.take(question.messages) if goes_on else None
        if client is None:
            await kept.make_room(self.places.running, self.places.count)
            client = await Client.start(self.command, kept.options if goes_on else [])
        said = []
        try:
            await client.ask(question.request(), is_last=not goes_on)
            async for event in client.events():
                self.take(event)
                said.append(event.get("text", ""))
                if goes_on and event["event"] == "answer":
                    answer = {"role": "assistant", "content": "".join(said)}
                    kept.keep([*question.messages, answer], client)
                    client = None
                    return
            if goes_on or await client.has_failed():
                raise self.failure("lodge-client ended early", {})
        finally:
            if client is not None:
                await client.end()

    def take(self, event):
        kind = event["event"]
        if kind == "question":
            self.record.prompt_tokens += event["tokens"]
        elif kind == "token":
            self.record.new_tokens += 1
        elif kind == "session":
            self.has_spent = True
            self.record.kept_tokens += event.get("kept", 0)
        elif kind == "warning":
            self.record.is_doubtful = True
        elif kind == "error":
            raise self.refusal(event)
        self.queue.put_nowait(event)

    def refusal(self, event):
        """What a client is told of an error of lodge-client."""
        message = event["error"] + (f" ({event['hint']})" if event["hint"] else "")
        if event["stage"] == "request" and not self.has_spent:
            return Refusal(400, message)
        if event["stage"] == "answer":
            return self.failure(message, {})
        # The parties say this in words.
        if "sessions allow" in message or "session allows" in message:
            return Refusal(400, message, code="context_length_exceeded")
        if "session is left" in message or "are no sessions" in message:
            # Clients that ask again by themselves would not be served either.
            return Refusal(
                429, message, "insufficient_quota", "insufficient_quota",
                headers={"retry-after": "60", "x-should-retry": "false"})
        if "nobody listens" in message:
            return self.failure(message, {"retry-after": "10"})
        if "in time" in message or "wait" in message or "busy" in message:
            return Refusal(
                429, message, "rate_limit_error", "rate_limit_exceeded",
                headers={"retry-after": "5", **self.retry()})
        return self.failure(message, {"retry-after": "10"})

    def failure(self, message, headers):
        return Refusal(
            502 if self.has_spent else 503, message, "server_error",
            headers={**headers, **self.retry()})

    def retry(self):
        """Clients of OpenAI ask again by themselves, which would spend another session."""
        return {"x-should-retry": "false"} if self.has_spent else {}
