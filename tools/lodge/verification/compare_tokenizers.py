"""Compares Lodge's tokenizers with Hugging Face's: ids and decoded texts of generated texts.

For every tokenizer given, and for one of each kind trained on the spot, texts of many scripts, with
emoji, marks, controls and long runs are encoded and decoded by both. Every scalar of Unicode stands
in one of the texts.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import (  # noqa: E402
    AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers,
)

ROOT = pathlib.Path(__file__).resolve().parents[3]

# First and last scalar of blocks that texts are drawn from.
BLOCKS = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF),
    (0x400, 0x52F), (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F), (0x900, 0x97F),
    (0x980, 0x9FF), (0xA80, 0xAFF), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xD00, 0xD7F), (0xE00, 0xE7F),
    (0xE80, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
    (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1E00, 0x1EFF),
    (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x20CF), (0x20D0, 0x20FF), (0x2100, 0x218F),
    (0x2190, 0x23FF), (0x2460, 0x27BF), (0x2E80, 0x2FDF), (0x3000, 0x303F), (0x3040, 0x30FF),
    (0x3130, 0x318F), (0x3200, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA640, 0xA69F),
    (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF),
    (0x10330, 0x1034A), (0x10400, 0x1044F), (0x11000, 0x1107F), (0x12000, 0x123FF),
    (0x1D100, 0x1D1FF), (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F64F),
    (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF), (0x2F800, 0x2FA1F), (0xE0000, 0xE007F),
]
EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "☺️", "1️⃣", "🧑🏿‍🚀"]
ENGLISH = (
    "it was the best of times, it was the worst of times; don't we're they'll I'd I'M IT'S you've "
    "3.14 1,000,000 a.b.c e-mail@example.org https://example.org/?q=1&r=2 x^2 <s> </s> <unk> [MASK] "
    "[CLS] <|endoftext|> naïve café Straße İstanbul ſ'ſ ΟΔΥΣΣΕΥΣ ##ing ▁word do not n't \\n <0x41> "
).split(" ")
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085"]


def generated_texts(count, generator):
    """`count` texts, each from few scripts, with all that is hard to cut mixed in."""
    for _ in range(count):
        blocks = [(0x20, 0x7E)] + generator.choices(BLOCKS, k=generator.randint(1, 3))
        parts = []
        for _ in range(generator.randint(1, 25)):
            kind = generator.random()
            if kind < 0.35:
                parts.append(generator.choice(ENGLISH))
            elif kind < 0.75:
                first, last = generator.choice(blocks)
                parts.append("".join(
                    chr(generator.randint(first, last)) for _ in range(generator.randint(1, 8))))
            elif kind < 0.80:
                parts.append(generator.choice(EMOJI))
            elif kind < 0.85:
                parts.append("".join(
                    generator.choice("aeoc") + chr(generator.randint(0x300, 0x345))
                    + chr(generator.randint(0x300, 0x345)) for _ in range(3)))
            elif kind < 0.89:
                parts.append("".join(chr(generator.randint(0, 0x1F)) for _ in range(2)))
            elif kind < 0.90:
                parts.append("".join(generator.choices(list(RULES), k=4)))
            elif kind < 0.93:
                parts.append(generator.choice("aA1 -.=\n😀한") * generator.randint(2, 150))
            else:
                parts.append("".join(generator.choice("0123456789.,") for _ in range(6)))
            if generator.random() < 0.8:
                parts.append(generator.choice(SPACES))
        yield "".join(parts)


def mark_texts(count, generator):
    """`count` texts of marks and of characters that are decomposed, in every order."""
    scalars = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    marks = [character for character in scalars if unicodedata.combining(character)]
    whole = [character for character in scalars if unicodedata.decomposition(character)]
    jamo = [chr(code) for code in (*range(0x1100, 0x1200), *range(0x3130, 0x3190), *range(0xFF60, 0xFFE7))]
    for _ in range(count):
        pools = generator.choices([marks, whole, jamo, scalars], k=2) + [marks]
        yield "x" + "".join(
            generator.choice(generator.choice(pools)) for _ in range(generator.randint(2, 30)))


def every_scalar():
    """Texts that hold every scalar, each by itself between letters and beside its neighbours."""
    scalars = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(scalars), 4096):
        part = scalars[start : start + 4096]
        yield " ".join(f"a{chr(code)}b" for code in part)
        yield "".join(chr(code) for code in part)
        yield "\u0301".join(chr(code) for code in part)


def character_map(rules):
    """SentencePiece's compiled map of `rules`: a Darts double array, and what it points to."""
    replacements = bytearray()
    tree = {}
    for old, new in rules.items():
        node = tree
        for byte in old.encode():
            node = node.setdefault(byte, {})
        node[0] = len(replacements)
        replacements += new.encode() + b"\0"
    units, used = {0: 0}, {0}

    def place(index, node):
        base = next(b for b in range(1, 1 << 20) if not any(b ^ label in used for label in node))
        used.update(base ^ label for label in node)
        units[index] |= (index ^ base) << 10 | (0 in node) << 8
        for label, child in node.items():
            units[base ^ label] = child | 1 << 31 if label == 0 else label
        for label, child in node.items():
            if label:
                place(base ^ label, child)

    place(0, tree)
    array = b"".join(units.get(i, 0).to_bytes(4, "little") for i in range(max(units) + 257))
    return len(array).to_bytes(4, "little") + array + bytes(replacements)


RULES = {
    "\u00a0": " ", "\u3000": " ", "\u2028": " ", "\t": " ", "\n": " ", "\u0001": "", "\u00ad": "", "ﬁ": "fi",
    "Ａ": "A", "e\u0301": "é", "a\u0300": "à", "㍿": "株式会社", "½": "1⁄2", "…": "...", "👍": "+", "ｶ\uff9e": "ガ",
    "가": "ga", "\u1100\u1161": "가", "\r\n": "|",
}


def trained(corpus, size=1500):
    """A tokenizer of each kind with about `size` tokens, trained on `corpus`: (name, tokenizer)."""
    def new(model, trainer, normalizer=None, pre_tokenizer=None, decoder=None, processor=None):
        tokenizer = Tokenizer(model)
        if normalizer: tokenizer.normalizer = normalizer
        if pre_tokenizer: tokenizer.pre_tokenizer = pre_tokenizer
        if decoder: tokenizer.decoder = decoder
        tokenizer.train_from_iterator(corpus, trainer)
        if processor: tokenizer.post_processor = processor(tokenizer)
        return tokenizer

    def bpe(**options):
        return trainers.BpeTrainer(vocab_size=size, show_progress=False, **options)

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    split = pre_tokenizers.Split
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    llama3 = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    o200k = (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    patterns = {
        "llama3": llama3,
        "qwen2": llama3.replace("{1,3}", ""),
        "qwen35": llama3.replace("{1,3}", "").replace(r"?\p{L}+", r"?[\p{L}\p{M}]+")
        .replace(r"[^\s\p{L}\p{N}]+", r"[^\s\p{L}\p{M}\p{N}]+"),
        "o200k": o200k,
        "possessive": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        "bloom": " ?[^(\\s|[.,!?…。，、।۔،])]+",
        "chinese": "[一-龥\u3040-ゟ゠-ヿ]+",
        "word": r"\w+|[^\w\s]+|\d",
    }
    for name, pattern in patterns.items():
        yield f"bpe-{name}", new(
            models.BPE(ignore_merges=name == "llama3"), bpe(initial_alphabet=alphabet),
            normalizer=normalizers.NFC() if name.startswith("qwen") else None,
            pre_tokenizer=pre_tokenizers.Sequence([split(Regex(pattern), "isolated"), byte_level]),
            decoder=decoders.ByteLevel())
    for name in ("NFC", "NFD", "NFKC", "NFKD"):
        yield f"bytes-{name}", new(
            models.BPE(), trainers.BpeTrainer(vocab_size=256, show_progress=False, initial_alphabet=alphabet),
            normalizer=getattr(normalizers, name)(), pre_tokenizer=byte_level, decoder=decoders.ByteLevel())
    yield "bpe-gpt2-prefix", new(
        models.BPE(), bpe(initial_alphabet=alphabet, special_tokens=["<s>", "</s>"]),
        pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True), decoder=decoders.ByteLevel(),
        processor=lambda tokenizer: processors.RobertaProcessing(("</s>", 1), ("<s>", 0)))
    yield "bpe-digits", new(
        models.BPE(), bpe(initial_alphabet=alphabet),
        pre_tokenizer=pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        decoder=decoders.ByteLevel())
    yield "bpe-suffix", new(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"),
        bpe(special_tokens=["<unk>"], end_of_word_suffix="</w>"),
        normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]),
        pre_tokenizer=pre_tokenizers.Whitespace(), decoder=decoders.BPEDecoder())
    yield "bpe-prefix", new(
        models.BPE(unk_token="<unk>", continuing_subword_prefix="@@"),
        bpe(special_tokens=["<unk>"], continuing_subword_prefix="@@"),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]))
    for scheme in ("always", "first", "never"):
        yield f"bpe-metaspace-{scheme}", new(
            models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=scheme == "first"),
            bpe(special_tokens=["<unk>", "<s>"] + [f"<0x{byte:02X}>" for byte in range(256)]),
            pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme=scheme, split=scheme != "first"),
            decoder=decoders.Sequence([
                decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]))
    for lower, strip in ((True, None), (False, None), (False, True)):
        yield f"wordpiece-{lower}-{strip}", new(
            models.WordPiece(unk_token="[UNK]"),
            trainers.WordPieceTrainer(
                vocab_size=size, show_progress=False,
                special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
            normalizer=normalizers.BertNormalizer(lowercase=lower, strip_accents=strip),
            pre_tokenizer=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece(cleanup=lower),
            processor=lambda tokenizer: processors.TemplateProcessing(
                single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]))
    yield "words", new(
        models.WordLevel(unk_token="[UNK]"),
        trainers.WordLevelTrainer(vocab_size=size, show_progress=False, special_tokens=["[UNK]"]),
        normalizer=normalizers.NFKD(), pre_tokenizer=pre_tokenizers.CharDelimiterSplit(" "))
    for name, normalizer in (
        ("nfkc", normalizers.Sequence([
            normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])),
        ("strip", normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()])),
        ("map", normalizers.Precompiled(character_map(RULES))),
    ):
        yield f"unigram-{name}", new(
            models.Unigram(),
            trainers.UnigramTrainer(
                vocab_size=6 * size, show_progress=False, unk_token="<unk>", special_tokens=["<unk>", "</s>"]),
            normalizer=normalizer, pre_tokenizer=pre_tokenizers.Metaspace(), decoder=decoders.Metaspace())
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        yield f"bpe-split-{behavior}", new(
            models.BPE(unk_token="<unk>"), bpe(special_tokens=["<unk>"]),
            pre_tokenizer=pre_tokenizers.Sequence([
                split("e", behavior), split(Regex(r"\s"), behavior, invert=behavior == "removed"),
                pre_tokenizers.Digits(individual_digits=False)]))


def with_added_tokens(tokenizer):
    """The same with tokens that are searched in all the ways there are."""
    tokenizer.add_special_tokens(["<|a|>", AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.add_tokens([
        AddedToken("best", single_word=True), AddedToken("Times", normalized=True),
        AddedToken("worst", rstrip=True, normalized=False), AddedToken("   ", normalized=False),
        AddedToken("<|a|><|a|>", normalized=False),
    ])
    return tokenizer


FIXTURES = (
    "bpe-llama3", "bpe-gpt2-prefix", "bpe-suffix", "bpe-metaspace-first", "wordpiece-True-None",
    "unigram-nfkc", "unigram-map", "bpe-split-contiguous",
)


def write_fixtures(folder):
    """Small tokenizers, and what the reference makes of hard texts, for TokenizationTests."""
    generator = random.Random(7)
    corpus = [" ".join(generator.choices(ENGLISH, k=12)) for _ in range(300)]
    texts = [text[:120] for text in generated_texts(32, generator)]
    keys = list(RULES)
    texts += ["".join(generator.choices(keys + ENGLISH + list("ae \u0301"), k=14)) for _ in range(8)]
    expected = {}
    for name, tokenizer in trained(corpus, 420):
        if name not in FIXTURES:
            continue
        tokenizer = with_added_tokens(tokenizer)
        tokenizer.save(os.path.join(folder, f"{name}.json"), pretty=False)
        ids = [tokenizer.encode(text).ids for text in texts]
        expected[name] = {
            "ids": ids,
            "texts": [tokenizer.decode(list_, skip_special_tokens=False) for list_ in ids],
            "plainTexts": [tokenizer.decode(list_) for list_ in ids],
        }
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump({"texts": texts, "tokenizers": expected}, file, separators=(",", ":"))
        file.write("\n")


def compare(name, path, texts, tool):
    """Prints what differs; returns the number of texts that do."""
    reference = Tokenizer.from_file(path)
    reference.no_truncation()
    reference.no_padding()
    expected = [reference.encode(text).ids for text in texts]
    kept = [index for index, ids in enumerate(expected) if ids]
    texts, expected = [texts[i] for i in kept], [expected[i] for i in kept]
    with tempfile.TemporaryDirectory() as folder:
        given, found = os.path.join(folder, "texts.json"), os.path.join(folder, "ids.json")
        with open(given, "w", encoding="utf-8") as file:
            json.dump(texts, file, ensure_ascii=False)
        run = subprocess.run(
            [tool, "tokenize", path, "--text", given, "--list", "--exact", "--out", found],
            capture_output=True, text=True)
        if run.returncode:
            print(f"{name}: {run.stderr.strip()}")
            return len(texts)
        with open(found, encoding="utf-8") as file:
            ids = json.load(file)
        decoded = json.loads(subprocess.run(
            [tool, "tokenize", path, "--decode", found, "--keep-special", "--exact", "--json"],
            capture_output=True, text=True, check=True).stdout)
    wrong = 0
    for text, right, got, back in zip(texts, expected, ids, decoded, strict=True):
        right_text = reference.decode(right, skip_special_tokens=False)
        if right == got and right_text == back:
            continue
        wrong += 1
        if wrong <= 3:
            place = next((i for i, (a, b) in enumerate(zip(right, got)) if a != b), 0)
            print(f"  {text[:80]!r}: at {place}")
            print(f"    reference {right[place:place + 12]} {reference.decode(right[place:place + 6])!r}")
            print(f"    found     {got[place:place + 12]} {reference.decode(got[place:place + 6])!r}")
            if right == got: print(f"    texts {right_text[:80]!r} {back[:80]!r}")
    print(f"{name}: {len(texts)} texts, {wrong} differ")
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="tools/development/compare-tokenizers", description=__doc__)
    parser.add_argument("tokenizers", metavar="FILE", nargs="*", help="tokenizer.json files")
    parser.add_argument("--texts", type=int, default=10_000, metavar="N", help="generated texts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tool", default=ROOT / ".build/release/lodge-model", metavar="FILE")
    parser.add_argument("--trained", action="store_true", help="tokenizers of each kind trained on the spot as well")
    parser.add_argument("--fixtures", metavar="DIR", help="write the files of TokenizationTests, and nothing else")
    options = parser.parse_args()
    if options.fixtures:
        write_fixtures(options.fixtures)
        return 0
    generator = random.Random(options.seed)
    texts = list(generated_texts(options.texts, generator)) + list(every_scalar())
    texts += mark_texts(options.texts // 2, generator)
    wrong = 0
    for path in options.tokenizers:
        wrong += compare(path, path, texts, options.tool)
    if options.trained:
        corpus = list(generated_texts(600, random.Random(2)))
        with tempfile.TemporaryDirectory() as folder:
            for name, tokenizer in trained(corpus):
                for kind, changed in (("", tokenizer), ("+added", None)):
                    path = os.path.join(folder, f"{name}{kind}.json")
                    (changed or with_added_tokens(tokenizer)).save(path)
                    wrong += compare(name + kind, path, texts, options.tool)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
