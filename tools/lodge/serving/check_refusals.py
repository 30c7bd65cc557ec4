"""Requests that tools/serve must refuse, none of which may cost a session; used by check_serve.py."""

import http.client
import json
import sys

FAILURES = []


def expect(condition, what):
    if not condition:
        FAILURES.append(what)
        print(f"FAILED: {what}", file=sys.stderr)


class Raw:
    """Requests as no well-behaved client sends them."""

    def __init__(self, port, key):
        self.port = port
        self.key = key

    def ask(self, path, body=None, method=None, without=(), **headers):
        """Status, headers and content; header names with _ for -."""
        sent = {
            "Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method or ("GET" if body is None else "POST"), path, skip_host=True)
            for name, value in sent.items():
                if name not in without:
                    connection.putheader(name, value)
            if content is not None:
                connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def refuse(self, status, path, body=None, saying="", **more):
        found, headers, content = self.ask(path, body, **more)
        error = {}
        try:
            error = json.loads(content)["error"]
        except (ValueError, KeyError, TypeError):
            pass
        place = f"{path} {str(body)[:80]} {more}"
        expect(found == status, f"{place}: {found} in place of {status}: {content[:200]}")
        expect(saying in str(error.get("message")), f"{place}: {saying!r} is not in {content[:200]}")
        expect(set(error) == {"message", "type", "param", "code"}, f"{place}: {content[:200]}")
        return headers


def refusals(raw, client, openai):
    """What costs nothing."""
    path = "/v1/completions"
    ask = {"model": "tiny", "prompt": "a b c", "max_tokens": 2}
    key = raw.key
    for wrong in (key[:-1], key + "x", "", key.upper(), key[:20]):
        raw.refuse(401, path, ask, "key", Authorization=f"Bearer {wrong}")
    raw.refuse(401, path, ask, "key", without=("Authorization",))
    raw.refuse(401, path, ask, "key", Authorization=f"Basic {key}")
    raw.refuse(401, "/v1/models", None, "key", without=("Authorization",))
    raw.refuse(401, "/nothing", None, "key", without=("Authorization",))
    for host in ("evil.com", f"localhost.evil.com:{raw.port}", "127.0.0.1.evil.com", "localhost@evil.com",
                 "127.0.0.2", "[::2]", "localhost:1:2", ""):
        raw.refuse(403, path, ask, "Host", Host=host)
        raw.refuse(403, "/health", None, "Host", Host=host)
    for origin in ("http://evil.com", "null", f"http://127.0.0.1:{raw.port}", "http://localhost"):
        headers = raw.refuse(403, path, ask, "Origin", Origin=origin)
        expect(not any("access-control" in name.lower() for name in headers), "no CORS headers")
        raw.refuse(403, path, None, "Origin", method="OPTIONS", Origin=origin)
    raw.refuse(403, "/v1/models", None, "pages", Sec_Fetch_Site="cross-site")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        raw.refuse(415, path, ask, "application/json", Content_Type=kind)
    raw.refuse(415, path, ask, "encoded", Content_Encoding="gzip")
    raw.refuse(400, path, b"2\r\n{}\r\n0\r\n\r\n", "two lengths", Transfer_Encoding="chunked")
    raw.refuse(404, "/v1/nothing", None, "nothing")
    raw.refuse(404, "/v1/../v1/models", None, "nothing")
    raw.refuse(404, "/v1/models/other", None, "tiny")
    raw.refuse(405, path, None, "method")
    raw.refuse(413, path, b" " * (2 << 20), "bytes")
    for body, saying in (
        (b"{", "not JSON"), (b"\xff", "UTF-8"), (b'{"model": "\\ud800"}', "UTF-8"), (b"[]", "object"),
        (b'{"a": 1, "a": 2}', "twice"), (b'{"seed": NaN}', "NaN"), (b"[" * 100_000, "nested"),
        (b'{"seed": 1' + b"0" * 5000 + b"}", "not JSON"),
    ):
        raw.refuse(400, path, body, saying)
    for change, status, saying in (
        ({"model": "other"}, 404, "tiny"), ({"model": 3}, 404, "tiny"), ({"n": 2}, 400, "n "),
        ({"n": True}, 400, "n "), ({"logprobs": 1}, 400, "logprobs"), ({"echo": True}, 400, "echo"),
        ({"suffix": "a"}, 400, "suffix"), ({"logit_bias": {"1": 1}}, 400, "logit_bias"),
        ({"frequency_penalty": 0.5}, 400, "frequency_penalty"), ({"top_k": 3}, 400, "top_k"),
        ({"prompt": ""}, 400, "empty"), ({"prompt": []}, 400, "prompt"), ({"prompt": 3}, 400, "prompt"),
        ({"prompt": ["a", 3]}, 400, "prompt"), ({"prompt": [1, True]}, 400, "prompt"),
        ({"prompt": [99]}, 400, "99 is outside the vocabulary of 11"), ({"prompt": None}, 400, "prompt"),
        ({"prompt": ["a", [1, 99]]}, 400, "outside the vocabulary"), ({"prompt": "a " * 9}, 400, "sessions allow 8"),
        ({"prompt": ["a"] * 65}, 400, "64"), ({"max_tokens": 121}, 400, "sessions allow 120"),
        ({"max_tokens": 0}, 400, "max_tokens"), ({"max_tokens": 1.5}, 400, "max_tokens"),
        ({"max_tokens": 2**70}, 400, "max_tokens"), ({"temperature": 3}, 400, "temperature"),
        ({"temperature": "1"}, 400, "temperature"), ({"top_p": -1}, 400, "top_p"), ({"seed": -1}, 400, "seed"),
        ({"stop": [""]}, 400, "stop"), ({"stop": [1]}, 400, "stop"), ({"stop": ["a"] * 17}, 400, "stop"),
        ({"stream": 1}, 400, "stream"), ({"stream_options": {}}, 400, "stream_options"),
        ({"messages": []}, 400, "messages"),
    ):
        raw.refuse(status, path, {**ask, **change}, saying)
    for message, saying in (
        ({"role": "tool", "content": "a"}, "role"), ({"role": "user"}, "content"), ("a", "object"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "no text"),
        ({"role": "user", "content": "a", "tool_calls": [{}]}, "tool_calls"),
    ):
        raw.refuse(400, "/v1/chat/completions", {"model": "tiny", "messages": [message]}, saying)
    raw.refuse(400, "/v1/chat/completions", {**ask, "messages": [], "prompt": None}, "messages")
    raw.refuse(400, "/v1/embeddings", {"model": "tiny", "input": "a"}, "gives logits, no embedding")
    for change, kind in (
        ({"model": "other"}, openai.NotFoundError), ({"n": 2}, openai.BadRequestError),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.BadRequestError),
    ):
        try:
            client.chat.completions.create(
                **{"model": "tiny", "messages": [{"role": "user", "content": "a"}], **change})
            expect(False, f"{change} is refused")
        except kind as error:
            expect(error.param in change, f"{change}: {error.param}")
    try:
        client.with_options(api_key=key[:-1]).models.list()
        expect(False, "a wrong key is refused")
    except openai.AuthenticationError as error:
        expect(error.code == "invalid_api_key", "the code of a wrong key")
    status, _, content = raw.ask("/health", None, without=("Authorization",))
    expect((status, json.loads(content)) == (200, {"status": "ok"}), "health goes without a key")
    page = {"Host": f"localhost:{raw.port}", "Origin": "http://page.example"}
    status, headers, _ = raw.ask("/health", None, **page)
    expect(status == 200, "a page that is allowed may ask")
    expect(headers["access-control-allow-origin"] == "http://page.example", "and may read the answer")
    expect(raw.ask(path, None, method="OPTIONS", **page)[0] == 204, "and may ask whether it may")
    raw.refuse(401, path, ask, "key", without=("Authorization",), **page)
