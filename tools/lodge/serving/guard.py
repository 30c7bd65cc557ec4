"""Who may ask at all: names, origins, key; and the access log, which holds no content.

Any page in a browser can send requests to this machine; a session that it burned would be gone. So a
request must name this machine (a name that an attacker's server resolves to 127.0.0.1 does not), must
not come from a page of elsewhere, and must carry the key.
"""

import hashlib
import hmac
import os
import re
import sys
import time

from lodge.serving.errors import Refusal

LOOPBACK_NAMES = {"localhost", "127.0.0.1", "[::1]"}
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")
METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
OPEN_PATHS = {"/health"}
PATHS = {"/health", "/v1/models", "/v1/completions", "/v1/chat/completions", "/v1/embeddings"}
COMMON_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Record:
    """What the log says of a request beside its time, method, path and status."""

    def __init__(self):
        self.prompt_tokens = 0
        self.new_tokens = 0
        # Of the prompt, in a session that goes on.
        self.kept_tokens = 0
        self.has_left = False
        # Unlike what the owner's calibration saw.
        self.is_doubtful = False
        # Of an answer that had begun.
        self.has_failed = False


class Guard:
    """Lets requests through to `app` that name this machine, come from no page, and have the key."""

    def __init__(self, app, key, hosts=(), origins=(), log=sys.stderr):
        self.app = app
        self.digest = hashlib.sha256(key.encode("latin-1")).digest()
        self.hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self.origins = set(origins)
        self.log = log

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        record = scope["lodge.record"] = Record()
        started = time.monotonic()
        status = 0
        headers = Headers(scope["headers"])

        async def guarded_send(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = COMMON_HEADERS + self.cross_origin_headers(headers)
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        try:
            self.check_sender(headers)
            if scope["method"] == "OPTIONS" and headers.all("origin"):
                await preflight(guarded_send)
                return
            self.check_key(scope, headers)
            check_body(scope, headers)
            await self.app(scope, receive, guarded_send)
        except Refusal as refusal:
            # The body has not been read, and will not be.
            refusal.headers["connection"] = "close"
            await refusal.response()(scope, receive, guarded_send)
        except Exception as error:
            # Where, but not what: a message may hold content.
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            name = os.path.basename(place.tb_frame.f_code.co_filename)
            self.write(f"error: {type(error).__name__} at {name}:{place.tb_lineno}")
            if status == 0:
                refusal = Refusal(500, "internal error", "server_error")
                await refusal.response()(scope, receive, guarded_send)
            else:
                raise
        finally:
            seconds = time.monotonic() - started
            self.write_record(scope, record, status, seconds)

    def check_sender(self, headers):
        names = headers.all("host")
        match = HOST.fullmatch(names[0].lower()) if len(names) == 1 else None
        if match is None or match[1] not in self.hosts:
            raise Refusal(403, "this Host is not served here (--allow-host)", code="host_not_allowed")
        origins = headers.all("origin")
        if any(origin not in self.origins for origin in origins) or len(origins) > 1:
            raise Refusal(
                403, "pages of this Origin may not ask (--allow-origin)", code="origin_not_allowed")
        # Browsers say so where they send no Origin.
        if not origins and any(site not in ("none", "same-origin") for site in headers.all("sec-fetch-site")):
            raise Refusal(403, "pages of elsewhere may not ask", code="origin_not_allowed")

    def check_key(self, scope, headers):
        if scope["path"] in OPEN_PATHS:
            return
        given = headers.all("authorization")
        scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        digest = hashlib.sha256(key.strip(" ").encode("latin-1")).digest()
        # Of digests, which are of one length whatever was sent.
        if not hmac.compare_digest(digest, self.digest) or scheme.lower() != "bearer":
            raise Refusal(
                401, "the key is missing or wrong: send 'Authorization: Bearer KEY' with that of --key-file",
                code="invalid_api_key", headers={"www-authenticate": "Bearer"})

    def cross_origin_headers(self, headers):
        origins = headers.all("origin")
        if len(origins) != 1 or origins[0] not in self.origins:
            return []
        return [(b"access-control-allow-origin", origins[0].encode("latin-1")), (b"vary", b"origin")]

    def write_record(self, scope, record, status, seconds):
        path = scope["path"]
        if path not in PATHS:
            path = "/v1/models/..." if path.startswith("/v1/models/") else "(another path)"
        method = scope["method"] if scope["method"] in METHODS else "(another method)"
        tokens = f" {record.prompt_tokens}+{record.new_tokens} tokens" if record.prompt_tokens else ""
        tokens += f", {record.kept_tokens} of them kept" if record.kept_tokens else ""
        left = " (left)" if record.has_left else " (failed)" if record.has_failed else ""
        left += " (values beyond the calibration's)" if record.is_doubtful else ""
        self.write(f"{method} {path} {status or '-'} {seconds:.3f} s{tokens}{left}")

    def write(self, line):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            print(f"serve: {moment} {line}", file=self.log, flush=True)
        except OSError:
            pass  # A full disk, or a reader that left: no reason to serve no more.


class Headers:
    """The headers of a request; each may be there several times."""

    def __init__(self, pairs):
        self.pairs = pairs

    def all(self, name):
        name = name.encode()
        return [value.decode("latin-1") for key, value in self.pairs if key == name]


def check_body(scope, headers):
    """A page can send no JSON without being allowed to: every POST must be JSON, as it is."""
    if scope["method"] != "POST":
        return
    types = headers.all("content-type")
    kind, _, parameters = types[0].lower().partition(";") if len(types) == 1 else ("", "", "")
    if kind.strip() != "application/json" or parameters.strip() not in ("", "charset=utf-8"):
        raise Refusal(415, "the content type must be application/json")
    if headers.all("content-encoding"):
        raise Refusal(415, "the body must not be encoded")
    # Where a proxy stands before this one, both must find the same end.
    if headers.all("content-length") and headers.all("transfer-encoding"):
        raise Refusal(400, "the body has two lengths")


async def preflight(send):
    """What an allowed page is told before it asks."""
    await send({
        "type": "http.response.start", "status": 204,
        "headers": [
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"authorization, content-type"),
            (b"access-control-max-age", b"600"),
        ],
    })
    await send({"type": "http.response.body", "body": b""})
