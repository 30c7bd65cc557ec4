"""Asks tools/serve with OpenAI's client and with requests that must be refused, and counts the sessions.

Two endpoints run, of a decoder and of an encoder whose tokenizers know the words a to j (ids 1 to 10),
the decoder's with `--concurrent 1 --queue 1` and exactly 12 sessions of 8 prompt and 120 new tokens: a
refused request that cost one, or an answer that cost two, is found in the end. With `--conversations` there is
one endpoint, which keeps one conversation for two seconds, and exactly 4 sessions.
"""

import argparse
import base64
import http.client
import importlib.util
import json
import os
import signal
import struct
import sys
import threading
import time

from lodge.serving.check_refusals import FAILURES, Raw, expect, refusals

SECRET = "xyzzy"


def answers(client):
    """Nine sessions' worth of what OpenAI's client can ask; returns the first answer."""
    ask = dict(model="tiny", prompt="a b c", max_tokens=5, temperature=0)
    expect([model.id for model in client.models.list()] == ["tiny"], "models")
    expect(client.models.retrieve("tiny").owned_by == "lodge", "the model")
    whole = client.completions.create(**ask)
    text = whole.choices[0].text
    expect(len(text.split()) == 5, f"5 words: {text}")
    expect(whole.choices[0].finish_reason == "length", "length")
    usage = (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens)
    expect(usage == (3, 5, 8), f"usage {usage}")
    chunks = list(client.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    expect("".join(chunk.choices[0].text for chunk in chunks[:-1]) == text, "the streamed text")
    expect([chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "length"], "reasons")
    expect(chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 5, "the usage chunk")
    both = client.completions.create(**{**ask, "prompt": [[1, 2, 3], [2]]})
    expect([choice.index for choice in both.choices] == [0, 1], "indices")
    expect(both.choices[0].text == text, "a prompt in ids")
    expect(both.usage.prompt_tokens == 4 and both.usage.completion_tokens == 10, "usage of both")
    # The first later word that is new: what comes before it is the answer.
    words = text.split()
    stop = next((word for word in words if word != words[0]), words[0])
    before = text[: text.index(stop)]
    ended = client.completions.create(**ask, stop=[" never", stop])
    expect(ended.choices[0].text == before, f"stopped at {stop}: {ended.choices[0].text!r}")
    expect(ended.choices[0].finish_reason == "stop", "stop")
    expect(ended.usage.completion_tokens == len(before.split()) + 1, "tokens until the stop")
    # The template puts a d behind all messages.
    messages = [{"role": "system", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]
    chat = dict(model="tiny", messages=messages, temperature=0)
    said = client.chat.completions.create(**chat, max_completion_tokens=4)
    plain = client.completions.create(**{**ask, "prompt": "a b d", "max_tokens": 4})
    expect(said.choices[0].message.content == plain.choices[0].text, "a chat is its template's text")
    expect(said.choices[0].message.role == "assistant" and said.usage.prompt_tokens == 3, "the message")
    # Sampled, the same way twice.
    sampled = [
        "".join(
            chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(
                **{**chat, "temperature": 1.5}, top_p=0.9, seed=7, max_tokens=8, stream=True))
        for _ in range(2)]
    expect(sampled[0] == sampled[1] and len(sampled[0].split()) == 8, f"sampled {sampled}")
    return text


def children(process):
    with open(f"/proc/{process}/task/{process}/children") as file:
        return [int(word) for word in file.read().split()]


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            expect(False, what)
            return
        time.sleep(0.01)


def leaving(client, raw, options, openai):
    """Who leaves in the middle ends the work; who comes while others wait is told so. One session."""
    stream = client.completions.create(model="tiny", prompt=f"a {SECRET}", max_tokens=120, stream=True)
    next(iter(stream))
    os.kill(options.party, signal.SIGSTOP)
    try:
        running = children(options.serve)
        expect(len(running) == 1, f"one lodge-client runs: {running}")
        for process in running:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                expect(SECRET.encode() not in file.read(), "no prompt on a command line")
        waiting = http.client.HTTPConnection("127.0.0.1", raw.port)
        body = json.dumps({"model": "tiny", "prompt": "a"})
        waiting.request(
            "POST", "/v1/completions", body,
            {"Authorization": f"Bearer {raw.key}", "Content-Type": "application/json"})
        time.sleep(0.2)
        headers = raw.refuse(429, "/v1/completions", {"model": "tiny", "prompt": "a"}, "wait")
        expect(headers["retry-after"] == "5", "when to come again")
        waiting.close()
        stream.close()
        wait_until(lambda: not children(options.serve), "lodge-client ends with who asked")
    finally:
        os.kill(options.party, signal.SIGCONT)


def failing(client, options, openai):
    """What goes wrong in the middle is told, and not asked again. One session."""
    stream = client.completions.create(model="tiny", prompt="a", max_tokens=120, stream=True)
    next(iter(stream))
    for process in children(options.serve):
        os.kill(process, signal.SIGKILL)
    try:
        count = sum(1 for _ in stream)
        expect(False, f"a broken stream is no whole one: {count} more chunks")
    except openai.APIError as error:
        expect("ended early" in str(error), f"why the stream broke: {error}")


def encode(client, raw):
    """Three sessions of the encoder; what is thrown in a thread of its own would be lost."""
    try:
        embeddings(client, raw)
    except Exception as error:
        expect(False, f"embeddings: {error!r}")


def embeddings(client, raw):
    texts = ["a b c", "d e"]
    found = client.embeddings.create(model="tiny", input=texts)
    expect([len(row.embedding) for row in found.data] == [8, 8], "the embeddings' width")
    expect(found.usage.prompt_tokens == 5 and found.usage.total_tokens == 5, "usage of embeddings")
    status, _, content = raw.ask("/v1/embeddings", {"model": "tiny", "input": [[1, 2, 3]], "encoding_format": "base64"})
    row = struct.unpack("<8f", base64.b64decode(json.loads(content)["data"][0]["embedding"]))
    # Sessions round differently in the last bits.
    near = all(abs(one - other) < 1e-3 for one, other in zip(row, found.data[0].embedding, strict=True))
    expect(status == 200 and near, f"base64 is the same: {row} {found.data[0].embedding}")
    raw.refuse(400, "/v1/embeddings", {"model": "tiny", "input": "a", "dimensions": 4}, "dimensions")
    raw.refuse(400, "/v1/embeddings", {"model": "tiny", "input": "a", "encoding_format": "int8"}, "encoding_format")
    raw.refuse(400, "/v1/completions", {"model": "tiny", "prompt": "a"}, "gives embedding, no text")
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "a"}]}
    raw.refuse(400, "/v1/chat/completions", chat, "has no chat template (give prompts")


def exhaustion(raw, client, options, openai):
    """All sessions are used, exactly; then nobody is there."""
    ask = {"model": "tiny", "prompt": "a", "max_tokens": 1}
    status, _, content = raw.ask("/v1/completions", ask)
    expect(status == 200, f"one session is left: {content[:200]}")
    headers = raw.refuse(429, "/v1/completions", ask, "no unused session is left")
    expect(headers["x-should-retry"] == "false" and headers["retry-after"] == "60", "not at once again")
    try:
        client.completions.create(**ask)
        expect(False, "there are no sessions")
    except openai.RateLimitError as error:
        expect(error.code == "insufficient_quota", "the code of no session")
    os.kill(options.party, signal.SIGTERM)
    wait_until(lambda: raw.ask("/v1/completions", ask)[0] == 503, "503 where no party is")
    headers = raw.refuse(503, "/v1/completions", ask, "party 0")
    expect(headers["retry-after"] == "10", "when to come again")


def conversation(client):
    """Three turns, and what does not go on from them, in four sessions."""
    def ask(messages, **more):
        return client.chat.completions.create(
            model="tiny", messages=messages, temperature=0, max_tokens=5, **more)

    def answered(messages, answer, *more):
        return [*messages, {"role": "assistant", "content": answer}, *[{"role": "user", "content": text} for text in more]]

    def kept(usage):
        return usage.prompt_tokens_details.cached_tokens

    first = [{"role": "user", "content": "a b"}]
    one = ask(first)
    expect(kept(one.usage) == 0 and one.usage.prompt_tokens == 3, f"nothing is kept at first: {one.usage}")
    second = answered(first, one.choices[0].message.content, "c")
    two = ask(second)
    # All but the last token of the answer, which nothing has followed yet: 3 of 10 rows are new.
    expect(kept(two.usage) == 7 and two.usage.prompt_tokens == 10, f"the second turn goes on: {two.usage}")
    third = answered(second, two.choices[0].message.content, "e f")
    chunks = list(ask(third, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    expect(kept(chunks[-1].usage) == 14 and len(text.split()) == 5, f"the third goes on: {chunks[-1].usage}")
    again = ask(second)
    expect(kept(again.usage) == 0, "what has gone on elsewhere is no beginning")
    expect(again.choices[0].message.content == two.choices[0].message.content, "the same in one session and in two")
    other = ask([{"role": "user", "content": "g"}])
    expect(kept(other.usage) == 0, "another conversation")
    fourth = answered(second, two.choices[0].message.content, "h")
    late = ask(fourth)
    expect(kept(late.usage) == 0, "one conversation is kept, the last")
    last = ask(answered(fourth, late.choices[0].message.content, "i"))
    expect(kept(last.usage) == late.usage.total_tokens - 1, f"which goes on: {last.usage}")


def main():
    parser = argparse.ArgumentParser(prog="tools/development/check-serve", description=__doc__)
    parser.add_argument("--available", action="store_true", help="only tell whether OpenAI's client is there")
    for name in ("decoder", "encoder", "serve", "party"):
        parser.add_argument(
            f"--{name}", type=int, metavar="N", help={
                "decoder": "port of the decoder's endpoint", "encoder": "port of the encoder's",
                "serve": "process of the decoder's endpoint", "party": "process of its party 0"}[name])
    parser.add_argument("--conversations", type=int, metavar="N", help="port of one that keeps conversations")
    for name in ("decoder-key", "encoder-key"):
        parser.add_argument(f"--{name}", metavar="FILE", help="file with its key")
    options = parser.parse_args()
    if options.available:
        return 0 if all(map(importlib.util.find_spec, ("openai", "starlette", "uvicorn"))) else 1
    import openai

    raws, clients = [], []
    if options.conversations:
        endpoints = [(options.conversations, options.decoder_key)]
    else:
        endpoints = [(options.decoder, options.decoder_key), (options.encoder, options.encoder_key)]
    for port, path in endpoints:
        with open(path) as file:
            key = file.read().strip()
        raws.append(Raw(port, key))
        clients.append(openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key))
    if options.conversations:
        conversation(clients[0])
        return 1 if FAILURES else 0
    thread = threading.Thread(target=encode, args=(clients[1], raws[1]))
    thread.start()
    answers(clients[0])
    refusals(raws[0], clients[0], openai)
    leaving(clients[0], raws[0], options, openai)
    failing(clients[0], options, openai)
    exhaustion(raws[0], clients[0], options, openai)
    thread.join()
    return 1 if FAILURES else 0


sys.exit(main())
