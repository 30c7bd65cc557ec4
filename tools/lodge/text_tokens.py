"""Turns text into token ids and back, with a checkpoint's tokenizer.json.

encode writes the JSON that lodge-model and lodge-client read: a list of ids for one text, a list
of such lists for several. decode reads either form and prints one line per list. pairs turns a table
of scored sentence pairs into the JSON that lodge-check validate reads.
"""

import argparse
import json
import math
import os
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"


class InputError(Exception):
    """Something from outside is wrong; printed as one line."""


class Parser(argparse.ArgumentParser):
    """argparse with the messages and the exit status of Lodge's other tools."""

    def error(self, message):
        print(f"tokenize: error: {message}", file=sys.stderr)
        print("tokenize: hint: see 'tools/tokenize --help'", file=sys.stderr)
        sys.exit(64)


def arguments():
    parser = Parser(
        prog="tools/tokenize",
        description="Text to token ids and back.",
        epilog="example: tools/tokenize encode --tokenizer model/tokenizer.json --start 2 "
        "'It was the best of times' --out tokens.json",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="encode|decode|pairs")
    encode = commands.add_parser("encode", help="text to ids")
    encode.add_argument(
        "texts", metavar="TEXT", nargs="*", help="texts; without any, one per line of standard input"
    )
    encode.add_argument(
        "--start", type=int, metavar="ID",
        help="id to put before every text, such as OPT's 2 (default: what the tokenizer adds itself)",
    )
    encode.add_argument("--max", type=int, metavar="N", help="keep at most N ids of a text")
    encode.add_argument(
        "--list", action="store_true", help="write a list of lists even for a single text"
    )
    encode.add_argument(
        "--whole", action="store_true", help="standard input is one text, not one per line"
    )
    encode.add_argument(
        "--json", action="store_true", help="standard input is a JSON array of texts"
    )
    encode.add_argument(
        "--bare", action="store_true", help="without what the tokenizer puts around every text"
    )
    decode = commands.add_parser("decode", help="ids to text")
    decode.add_argument(
        "file", metavar="FILE", nargs="?", help="JSON ids (default: standard input)"
    )
    decode.add_argument(
        "--keep-special", action="store_true", help="print special tokens such as </s> as well"
    )
    pairs = commands.add_parser("pairs", help="scored sentence pairs to ids")
    pairs.add_argument(
        "file", metavar="FILE", nargs="?",
        help="table with columns between tabs (default: standard input)",
    )
    for number, name in enumerate(("score", "first", "second"), 1):
        pairs.add_argument(
            f"--{name}", type=int, default=number, metavar="N",
            help=f"column of the {name if name == 'score' else name + ' text'}, from 1 "
            "(default: %(default)s)",
        )
    pairs.add_argument("--max", type=int, metavar="N", help="keep at most N ids of a text")
    for command in (encode, decode, pairs):
        command.add_argument(
            "--tokenizer", required=True, metavar="FILE", help="tokenizer.json (or its folder)"
        )
        command.add_argument("--out", metavar="FILE", help="file to write (default: standard output)")
    return parser.parse_args()


def load_tokenizer(path):
    from tokenizers import Tokenizer

    if os.path.isdir(path):
        path = os.path.join(path, "tokenizer.json")
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'is not UTF-8'}") from None
    start = text[:64].lstrip().lower()
    if start.startswith(("version https://git-lfs.github.com/", "version https://hawser.github.com/")):
        raise InputError(f"{path}: is a Git LFS pointer, the file itself was not downloaded: run 'git lfs pull'")
    if start.startswith("<"):
        raise InputError(f"{path}: is a web page or a server's message in place of the file")
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # The package throws plain Exception.
        raise InputError(f"{path}: is not a tokenizer: {error}") from None
    # A length that the file asks for would silently cut or pad the texts.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def unknown(tokenizer, ids):
    """What is wrong with the first of ids that stands for no token, or None.

    A vocabulary may have holes, so that the number of its entries tells nothing about its ids.
    """
    for token in ids:
        # The package takes no id below 0 and none of more than 32 bits.
        if not 0 <= token < 1 << 32 or tokenizer.id_to_token(token) is None:
            largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
            return f"{token} is no id of the tokenizer, whose largest is {largest}"
    return None


def encode(options):
    tokenizer = load_tokenizer(options.tokenizer)
    wrong = unknown(tokenizer, [] if options.start is None else [options.start])
    if wrong:
        raise InputError(f"--start: {wrong}")
    check_limit(options)
    texts = options.texts
    for name in ("whole", "json"):
        if getattr(options, name) and texts:
            raise InputError(f"--{name}: reads standard input, there are texts on the command line")
    if options.json:
        texts = json_texts(read_text(None))
    elif not texts:
        content = read_text(None)
        texts = [content] if options.whole else content.splitlines()
        texts = [text for text in texts if text.strip()]
        if not texts:
            raise InputError("standard input: holds no text")
    lists = []
    for text in texts:
        # A start id replaces whatever the tokenizer would add by itself.
        adds = options.start is None and not options.bare
        ids = tokenizer.encode(text, add_special_tokens=adds).ids
        if options.start is not None:
            ids = [options.start] + ids
        if not ids:
            raise InputError(f"text {len(lists)}: has no tokens")
        lists.append(ids[: options.max])
    single = len(lists) == 1 and not options.list
    return json.dumps(lists[0] if single else lists, separators=(",", ":")) + "\n"


def json_texts(content):
    """The texts of a JSON array."""
    try:
        texts = json.loads(content)
    except ValueError as error:
        raise InputError(f"standard input: is not JSON: {error}") from None
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("standard input: is no JSON array of texts")
    return texts


def check_limit(options):
    if options.max is not None and options.max < 1:
        raise InputError(f"--max {options.max}: must be positive")


def read_text(path):
    try:
        if path is None:
            return sys.stdin.read()
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path or 'standard input'}: is not UTF-8") from None


def pairs(options):
    tokenizer = load_tokenizer(options.tokenizer)
    check_limit(options)
    columns = (options.score, options.first, options.second)
    if min(columns) < 1 or len(set(columns)) < 3:
        raise InputError("--score, --first, --second: must be three different columns from 1 on")
    name = options.file or "standard input"
    found = []
    for number, line in enumerate(read_text(options.file).splitlines(), 1):
        if not line.strip():
            continue
        place = f"{name}: line {number}"
        cells = line.split("\t")
        if len(cells) < max(columns):
            raise InputError(f"{place}: has {len(cells)} columns, {max(columns)} are needed")
        score, first, second = (cells[column - 1] for column in columns)
        try:
            score = float(score)
        except ValueError:
            raise InputError(f"{place}: the score \"{score}\" is not a number") from None
        if not math.isfinite(score):
            raise InputError(f"{place}: the score is not finite")
        ids = [tokenizer.encode(text).ids[: options.max] for text in (first, second)]
        if not all(ids):
            raise InputError(f"{place}: a text has no tokens")
        found.append({"first": ids[0], "second": ids[1], "score": score})
    if not found:
        raise InputError(f"{name}: holds no pairs")
    return json.dumps(found, separators=(",", ":")) + "\n"


def decode(options):
    tokenizer = load_tokenizer(options.tokenizer)
    name = options.file or "standard input"
    try:
        if options.file:
            with open(options.file, encoding="utf-8") as file:
                value = json.load(file)
        else:
            value = json.load(sys.stdin)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{name}: is not JSON: {error}") from None
    lists = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    lines = []
    for index, ids in enumerate(lists):
        place = f"{name}: list {index}"
        if not isinstance(ids, list) or not all(type(token) is int for token in ids):
            raise InputError(f"{place}: expected a list of token ids")
        wrong = unknown(tokenizer, ids)
        if wrong:
            raise InputError(f"{place}: {wrong}")
        lines.append(tokenizer.decode(ids, skip_special_tokens=not options.keep_special))
    return "\n".join(lines) + "\n"


def write(text, path):
    if path is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise InputError(f"{path}: {error.strerror}") from None


def main():
    options = arguments()
    try:
        text = {"encode": encode, "decode": decode, "pairs": pairs}[options.command](options)
        write(text, options.out)
    except InputError as error:
        message = str(error).replace("\n", " ")
        print(f"tokenize: error: {message}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has what it wanted; keep the interpreter from flushing into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
