"""Answers in the shapes of OpenAI's API: whole, or as server-sent events."""

import asyncio
import base64
import json
import secrets
import struct
import time

from starlette.responses import JSONResponse, Response

from lodge.serving.errors import Refusal


class Form:
    """How one kind of answer is written."""

    def __init__(self, prefix, name, question, model):
        self.head = {
            "id": f"{prefix}-{secrets.token_hex(12)}", "object": name, "created": int(time.time()),
            "model": model}
        self.question = question

    def whole(self, texts, reasons, usage):
        choices = [
            {"index": index, **self.choice(text), "logprobs": None, "finish_reason": reason}
            for index, (text, reason) in enumerate(zip(texts, reasons))]
        return {**self.head, "choices": choices, "usage": usage}

    def chunk(self, choices, usage=None):
        chunk = {**self.head, "choices": choices}
        if self.question.includes_usage:
            chunk["usage"] = usage
        return chunk

    def part(self, index, content, reason=None):
        choice = {"index": index, **content, "logprobs": None, "finish_reason": reason}
        return self.chunk([choice])


class CompletionForm(Form):
    def __init__(self, question, model):
        super().__init__("cmpl", "text_completion", question, model)

    def choice(self, text):
        return {"text": text}

    def first(self, index):
        return None

    def more(self, index, text):
        return self.part(index, {"text": text})

    def last(self, index, reason):
        return self.part(index, {"text": ""}, reason)


class ChatForm(Form):
    def __init__(self, question, model):
        name = "chat.completion.chunk" if question.streams else "chat.completion"
        super().__init__("chatcmpl", name, question, model)

    def choice(self, text):
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def first(self, index):
        return self.part(index, {"delta": {"role": "assistant", "content": ""}})

    def more(self, index, text):
        return self.part(index, {"delta": {"content": text}})

    def last(self, index, reason):
        return self.part(index, {"delta": {}}, reason)


def usage(record):
    return {
        "prompt_tokens": record.prompt_tokens, "completion_tokens": record.new_tokens,
        "total_tokens": record.prompt_tokens + record.new_tokens,
        # Those that the session has from earlier turns.
        "prompt_tokens_details": {"cached_tokens": record.kept_tokens}}


class Answer(Response):
    """An answer that is computed while it is sent, and no longer than somebody waits for it."""

    def __init__(self, asking):
        self.asking = asking
        self.background = None

    async def __call__(self, scope, receive, send):
        work = asyncio.create_task(self.work(scope, receive, send))
        left = asyncio.create_task(until_left(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
            else:
                self.asking.record.has_left = True
        finally:
            for task in (work, left):
                task.cancel()
            await asyncio.gather(work, left, return_exceptions=True)

    async def work(self, scope, receive, send):
        async with self.asking:
            await self.answer(scope, receive, send)


async def until_left(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


class WholeText(Answer):
    def __init__(self, asking, form):
        super().__init__(asking)
        self.form = form

    async def answer(self, scope, receive, send):
        count = self.asking.question.count()
        texts = [[] for _ in range(count)]
        reasons = [None] * count
        async for event in self.asking.events():
            if event["event"] in ("token", "answer"):
                texts[event["index"]].append(event["text"])
            if event["event"] == "answer":
                reasons[event["index"]] = event["reason"]
        whole = self.form.whole(["".join(text) for text in texts], reasons, usage(self.asking.record))
        await JSONResponse(whole)(scope, receive, send)


class StreamedText(Answer):
    """Server-sent events; nothing is sent before there is a session, so that errors have their status."""

    def __init__(self, asking, form):
        super().__init__(asking)
        self.form = form

    async def answer(self, scope, receive, send):
        has_begun = False

        async def tell(chunk):
            await self.send_line(send, json.dumps(chunk, ensure_ascii=False))

        try:
            async for event in self.asking.events():
                kind, index = event["event"], event["index"]
                if kind == "session":
                    if not has_begun:
                        await self.begin(send)
                        has_begun = True
                    if (first := self.form.first(index)) is not None:
                        await tell(first)
                if kind in ("token", "answer") and event["text"]:
                    await tell(self.form.more(index, event["text"]))
                if kind == "answer":
                    await tell(self.form.last(index, event["reason"]))
        except Refusal as refusal:
            if not has_begun:
                raise
            self.asking.record.has_failed = True
            await tell(refusal.body)
        else:
            if self.form.question.includes_usage:
                await tell(self.form.chunk([], usage(self.asking.record)))
            await self.send_line(send, "[DONE]")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def begin(self, send):
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send_line(self, send, text):
        body = f"data: {text}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})


class Embeddings(Answer):
    def __init__(self, asking, model):
        super().__init__(asking)
        self.model = model

    async def answer(self, scope, receive, send):
        question = self.asking.question
        found = [None] * question.count()
        async for event in self.asking.events():
            if event["event"] == "answer":
                found[event["index"]] = event["embedding"]
        if question.encoding == "base64":
            found = [base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode() for row in found]
        data = [
            {"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(found)]
        count = self.asking.record.prompt_tokens
        await JSONResponse({
            "object": "list", "data": data, "model": self.model,
            "usage": {"prompt_tokens": count, "total_tokens": count},
        })(scope, receive, send)
