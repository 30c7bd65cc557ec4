"""tools/serve: serves a client's folder, or a user's, to OpenAI's clients on this machine."""

import argparse
import contextlib
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from lodge.serving.endpoint import Endpoint
from lodge.serving.errors import InputError
from lodge.serving.guard import Guard
from lodge.serving.key_file import read_key
from lodge.serving.server import listening_socket, serve

ROOT = Path(__file__).resolve().parents[3]
# Options of lodge-client that it is started with, and their placeholders.
CLIENT_OPTIONS = {
    "party0": "HOST:PORT", "party1": "HOST:PORT", "provider": "HOST:PORT", "party0-key": "KEY",
    "party1-key": "KEY", "provider-key": "KEY", "identity": "FILE", "trust": "KEY", "bundle": "FILE",
    "correlations": "DIR", "ledger": "FILE", "scratch": "DIR", "tokenizer": "FOLDER", "start": "ID",
    "timeout": "TIME", "draft": "repeats|MODEL", "draft-slots": "N",
}


class Parser(argparse.ArgumentParser):
    """argparse with the messages and the exit status of Lodge's other tools."""

    def error(self, message):
        print(f"serve: error: {message}", file=sys.stderr)
        print("serve: hint: see 'tools/serve --help'", file=sys.stderr)
        sys.exit(64)


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def count(text):
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def arguments():
    parser = Parser(
        prog="tools/serve", allow_abbrev=False,
        description="An endpoint for OpenAI's clients on this machine: /v1/models, /v1/completions, "
        "/v1/chat/completions and /v1/embeddings, over lodge-client. Every answer takes a session, but of "
        "conversations that are kept (--conversations).",
        epilog="example: tools/serve served/client --party0 127.0.0.1:9000 --party1 127.0.0.1:9001",
    )
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", help="the client's or the user's folder of a conversion")
    parser.add_argument(
        "--listen", default="127.0.0.1:8080", metavar="ADDRESS:PORT",
        help="where to listen; port 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--key-file", metavar="FILE",
        help="the bearer key; made where there is none (default: serve.key in FOLDER)")
    parser.add_argument("--model", metavar="NAME", help="what the model is called (default: the folder's name)")
    parser.add_argument(
        "--new", type=positive, default=32, metavar="N",
        help="tokens of answers whose request does not say how many (default: %(default)s)")
    parser.add_argument(
        "--concurrent", type=positive, default=4, metavar="N",
        help="requests that may be asked at once (default: %(default)s)")
    parser.add_argument(
        "--queue", type=positive, default=16, metavar="N",
        help="requests that may wait here; more are told to come again (default: %(default)s)")
    parser.add_argument(
        "--conversations", type=count, default=0, metavar="N",
        help="chats whose session is kept for the next message, of --concurrent places (default: %(default)s)")
    parser.add_argument(
        "--idle", type=positive, default=60, metavar="SECONDS",
        help="longest time that one is kept; less than the parties' --idle (default: %(default)s)")
    parser.add_argument(
        "--room", type=positive, metavar="N",
        help="tokens of its session behind the first question (default: 8 times max_tokens)")
    parser.add_argument(
        "--body-bytes", type=positive, default=1 << 20, metavar="N",
        help="longest request (default: %(default)s)")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="another name that requests may call this machine by")
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="ORIGIN",
        help="pages that may ask, such as http://localhost:3000")
    parser.add_argument(
        "--insecure-listen", action="store_true",
        help="listen beyond this machine without TLS: the network reads prompts, answers and the key")
    parser.add_argument(
        "--tools", type=Path, metavar="DIR",
        help="folder with lodge-client (default: the build of this repository, or the path)")
    group = parser.add_argument_group("options of lodge-client")
    for name, placeholder in CLIENT_OPTIONS.items():
        group.add_argument(f"--{name}", metavar=placeholder)
    group.add_argument("--insecure-plaintext", action="store_true")
    return parser.parse_args()


def client_command(options):
    """The beginning of every lodge-client's command line, with nothing of any question on it."""
    build = options.tools or ROOT / ".build/release"
    program = shutil.which("lodge-client", path=str(build)) or (
        None if options.tools else shutil.which("lodge-client"))
    if program is None:
        raise InputError("lodge-client: is not there", "build it: swift build -c release, or give --tools")
    command = [program]
    if options.folder:
        command += ["--folder", options.folder]
    for name in CLIENT_OPTIONS:
        value = getattr(options, name.replace("-", "_"))
        command += [] if value is None else [f"--{name}={value}"]
    return command + (["--insecure-plaintext"] if options.insecure_plaintext else [])


def check_client(command):
    """Lets lodge-client find what is wrong with its options and files before anybody asks."""
    nothing = json.dumps({"output": "text", "prompts": []})
    done = subprocess.run(
        [*command, "--request", "-"], input=nothing, text=True, capture_output=True, errors="replace")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if ": error: " in line or ": hint: " in line]
        print("\n".join(lines) or "serve: error: lodge-client ended early", file=sys.stderr)
        sys.exit(done.returncode if done.returncode > 0 else 1)


def describe(options):
    """What the model is called, since when it is there, and where its key is unless that is said."""
    path = options.folder or os.path.dirname(options.bundle or "") or "."
    folder = Path(path).resolve()
    name = folder.parent.name if folder.name in ("client", "user") else folder.name
    options.model = options.model or name or "lodge"
    options.created = int(folder.stat().st_mtime)
    options.key_file = options.key_file or os.path.join(path, "serve.key")


def disclose_no_memory():
    """Keeps prompts out of core files, and this process out of debuggers of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


def main():
    options = arguments()
    disclose_no_memory()
    try:
        if options.folder is None and options.bundle is None and options.tokenizer is None:
            raise InputError("FOLDER: is needed", "name the client's or the user's folder")
        if options.folder is not None and not os.path.isdir(options.folder):
            raise InputError(f"{options.folder}: is no folder")
        if options.room is not None and options.conversations == 0:
            raise InputError("--room: goes with --conversations")
        options.command = client_command(options)
        check_client(options.command)
        describe(options)
        key, is_new = read_key(options.key_file)
        listener = listening_socket(options.listen, options.insecure_listen)
    except InputError as error:
        print(f"serve: error: {error}", file=sys.stderr)
        if error.hint:
            print(f"serve: hint: {error.hint}", file=sys.stderr)
        return 1
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    print(f"serve: {'new key' if is_new else 'key'} in {options.key_file}", file=sys.stderr)
    if options.insecure_listen:
        print("serve: note: without TLS the network reads prompts, answers and the key", file=sys.stderr)
    print(f"serve: {options.model} listens on http://{host}:{port}/v1", file=sys.stderr, flush=True)
    endpoint = Endpoint(options)
    guard = Guard(endpoint.app(), key, options.allow_host, options.allow_origin)
    serve(guard, listener, endpoint.conversations.finish)
    return 0


if __name__ == "__main__":
    sys.exit(main())
