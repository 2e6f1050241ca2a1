#!/usr/bin/env python3
"""Makes tests/golden/tokenizers: a tiny tokenizer of each kind and the ids that Hugging Face `tokenizers` gives for some texts.

usage: make_tiny_tokenizers.py DIRECTORY

For each kind a folder with tokenizer.json and golden.json: {"texts": [[text, [ids]], ...], "pairs": [[a, b, length, [ids],
[types]], ...]}. Needs the `tokenizers` that senvec is compared with. The vocabularies are trained here, on Python's own
documentation and a few sentences.
"""

import json
import pydoc_data.topics
import struct
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SENTENCES = [
    "Der schnelle braune Fuchs springt über den faulen Hund.", "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "素早い茶色の狐がのろまな犬を飛び越える。", "快速的棕色狐狸跳过懒狗。", "الثعلب البني السريع يقفز فوق الكلب الكسول",
    "तेज भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है", "빠른 갈색 여우가 게으른 개를 뛰어넘습니다", "İstanbul'da ﬁne ½ Ångström café naïve 😀👍🏽",
]  # fmt: skip
TEXTS = SENTENCES + [
    "", " ", "  ", "\n", "a", " a", "a ", "hello world", "Hello  World!\n\nIt's 12345 o'clock, isn't it? I'LL say ʼno'ſ",
    "The quick brown fox (jumps) over the lazy dog's back; 3.14159 != 2,718", "tab\tand\r\nline\u2028ends\u00a0nbsp\u3000wide",
    "e\u0301 é e\u0301\u0327 \u1e0b\u0323 \u212b ﬁ ㍿ ① \uff21\u0301 \u0600e\u0301 \u200d©",
    "x\u00ady \ufeff \ufffd \x7f \x85", "  two spaces first", "\x01control first", "\u0301mark first", "\U000e0006\u0343\u0301",
    "<mask> a<mask>b <s></s> <unk>", "--------- ****** ____ ++++++++++", "a" * 64,
    "def f(x):\n    return x ** 2  # squared\n", "https://example.org/a?b=c&d=%20", "▁▁ ▁a ▁", "👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️", "각 각 ᄀ",
    "\u0915\u094d\u0937 \u0e01\u0e33", "``quoted'' \"text\"", "word" * 40, "covid-19 COVID-19 covid-190 (covid-19)",
    "New York new york",
    "a  <x>  b<x>c <x>", "yes no yesno yes_ yes",
]  # fmt: skip
PAIRS = [("the first text", "and a second, longer text of some more words"), ("", "b"), ("a b c d e f g h", "i j k l m n o p")]


def corpus():
    lines = [line.strip() for text in pydoc_data.topics.topics.values() for line in text.splitlines()]
    return [line for line in lines if line][:4000] + SENTENCES * 20


def charsmap(mapping):
    """A precompiled charsmap: the keys in a double array, values as sentencepiece writes them."""
    texts, root = b"", {}
    for key, value in sorted(mapping.items()):
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = len(texts)
        texts += value.encode() + b"\0"
    units, used, bases = {}, {0}, set()

    def place(node, at, label):
        base = 1
        while base in bases or any(base ^ child in used for child in node):
            base += 1
        bases.add(base)
        used.update(base ^ child for child in node)
        units[at] = (at ^ base) << 10 | (0 in node) << 8 | label
        for child, below in node.items():
            if child == 0:
                units[base] = below | 1 << 31
            else:
                place(below, base ^ child, child)

    place(root, 0, 0)
    size = (max(units) | 255) + 1
    trie = struct.pack(f"<{size}I", *(units.get(i, 1 << 31 | 255) for i in range(size)))
    return struct.pack("<I", len(trie)) + trie + texts


CHARSMAP = charsmap({
    "\n": " ", "\t": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\u200d": " ", "\u00ad": "", "\ufeff": "",
    "\ufb01": "fi", "\u00bd": "1⁄2",
    "\uff21": "A", "e\u0301": "é", "E\u0301": "É", "\u2460": "1", "\u337f": "株式会社", "\u212b": "Å", "\u2026": "...",
    "\u0343": "\u0313",
})  # fmt: skip


def finish(tokenizer, roberta=False):
    ids = {name: tokenizer.token_to_id(name) for name in ("<s>", "</s>")}
    if roberta:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]))
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=list(ids.items())
        )
    return tokenizer


def byte_level(pre_tokenizer, normalizer=None, size=600, alphabet=True, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    letters = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    tokenizer.train_from_iterator(
        corpus(), trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=letters, show_progress=False)
    )
    return finish(tokenizer, roberta=True)


def characters(normalizer, pre_tokenizer, special=SPECIAL, size=500, words=None, **options):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **options))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, limit_alphabet=120, show_progress=False)
    tokenizer.train_from_iterator(words or corpus(), trainer)
    return finish(tokenizer)


def unigram(normalizer, pre_tokenizer, **changes):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    trainer = trainers.UnigramTrainer(vocab_size=500, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    data = json.loads(finish(tokenizer).to_str())
    data["model"].update(changes)
    return Tokenizer.from_str(json.dumps(data))


def kinds():
    metaspace, split = pre_tokenizers.Metaspace(), pre_tokenizers.Split
    yield "roberta", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    yield "roberta-prefix-space", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC())
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), finish(tokenizer).post_processor])
    yield "modernbert", tokenizer
    steps = [split(Regex(CL100K), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    yield "cl100k", byte_level(pre_tokenizers.Sequence(steps), ignore_merges=True)
    steps = pre_tokenizers.ByteLevel(add_prefix_space=False)
    yield "bytes-unknown", byte_level(steps, size=150, alphabet=False, unk_token="<unk>", fuse_unk=True)
    words = ["▁" + word for line in corpus() for word in line.split()]
    steps = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)]
    yield "llama", characters(steps, None, special, 700, words, byte_fallback=True, fuse_unk=True)
    steps = [split(Regex(r"\s+"), "merged_with_previous"), split("e", "merged_with_next"), pre_tokenizers.Digits(),
             pre_tokenizers.Punctuation("merged_with_previous"), split(Regex(r"\p{L}+"), "removed", invert=True)]  # fmt: skip
    forms = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()]
    yield "splits", characters(normalizers.Sequence(forms), pre_tokenizers.Sequence(steps))
    digits, punctuation = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("contiguous")
    steps = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), digits, punctuation])
    yield "words", characters(normalizers.NFD(), steps, fuse_unk=True)
    mapped = normalizers.Precompiled(CHARSMAP)
    both = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    yield "xlm-roberta", unigram(mapped, both)
    steps = [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), "▁"), normalizers.Strip(left=False)]
    yield "nmt-nfkc", unigram(normalizers.Sequence(steps), metaspace)
    steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.Lowercase(), mapped]
    yield "albert", unigram(normalizers.Sequence(steps), pre_tokenizers.Metaspace(prepend_scheme="first"))
    yield "unigram-whole", unigram(normalizers.NFD(), pre_tokenizers.Metaspace(prepend_scheme="never", split=False))
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=SPECIAL, limit_alphabet=100, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_tokens(["covid-19", "New York", AddedToken("yes", single_word=True)])
    tokenizer.add_tokens([AddedToken("<x>", lstrip=True, rstrip=True)])
    yield "added-tokens", finish(tokenizer)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text.replace('],["', '],\n["') + "\n", encoding="utf-8")


def main():
    folder = Path(sys.argv[1])
    for name, tokenizer in kinds():
        data = json.loads(tokenizer.to_str())
        if name == "llama":  # the bytes are pieces, no added tokens
            data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] in SPECIAL]
        tokenizer = Tokenizer.from_str(json.dumps(data))
        texts = [[text, tokenizer.encode(text).ids] for text in TEXTS]
        pairs = []
        for a, b in PAIRS:
            for length in (5, 8, 11, 64):
                tokenizer.enable_truncation(length)
                encoding = tokenizer.encode(a, b)
                pairs.append([a, b, length, encoding.ids, encoding.type_ids])
                tokenizer.no_truncation()
        write_json(folder / name / "tokenizer.json", data)
        write_json(folder / name / "golden.json", {"texts": texts, "pairs": pairs})
        print(f"{name}: {tokenizer.get_vocab_size()} tokens, {len(texts)} texts, {len(pairs)} pairs")


if __name__ == "__main__":
    main()
