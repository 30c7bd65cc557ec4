"""Conversations that may go on: a lodge-client each, whose session waits for the next message."""

import asyncio


class Conversations:
    """Clients that have answered and are kept for a while, at most `most` of them, for `seconds`.

    One is taken by the request whose messages begin with all that was said in it, and by no other.
    """

    def __init__(self, most, seconds, room):
        self.most = most
        self.options = ["--lines"] + ([] if room is None else ["--room", str(room)])
        self.seconds = seconds
        # The longest kept first: what was said, the client, and the timer of its end.
        self.idle = []
        self.ends = set()

    def take(self, messages):
        """The client of the longest conversation that `messages` go on from; None where there is none."""
        fitting = [
            kept for kept in self.idle
            if len(kept[0]) < len(messages) and messages[: len(kept[0])] == kept[0] and kept[1].is_there()]
        if not fitting:
            return None
        found = max(fitting, key=lambda kept: len(kept[0]))
        self.forget(found)
        return found[1]

    def keep(self, messages, client):
        """Keeps `client`, which has said the last of `messages`."""
        timer = asyncio.get_running_loop().call_later(self.seconds, lambda: self.let_go(kept))
        kept = (messages, client, timer)
        self.idle.append(kept)
        if len(self.idle) > self.most:
            self.let_go(self.idle[0])

    def forget(self, kept):
        self.idle.remove(kept)
        kept[2].cancel()

    def let_go(self, kept):
        """Ends a conversation, and with it its session, in its own time."""
        self.forget(kept)
        task = asyncio.create_task(kept[1].finish())
        self.ends.add(task)
        task.add_done_callback(self.ends.discard)

    async def finish(self):
        """Ends all that are kept."""
        while self.idle:
            self.let_go(self.idle[0])
        if self.ends:
            await asyncio.wait(self.ends)

    async def make_room(self, running, places):
        """Ends conversations until another session of `running` has a place among `places`."""
        while self.idle and running + len(self.idle) > places:
            self.let_go(self.idle[0])
        if self.ends:
            await asyncio.wait(self.ends)
