"""Write jiwer.json: what jiwer 4 makes of text that is easy to get wrong. Run: python make_jiwer.py > jiwer.json

Needs jiwer 4 (pip install "jiwer>=4,<5"). The cases are fixed lines and lines drawn from a seeded generator.
"""

import importlib.metadata
import json
import random
import sys

import jiwer
import rapidfuzz

FIXED = [
    # Equal, empty on either side, empty on both.
    ("the cat sat", "the cat sat"),
    ("", ""),
    ("", "a"),
    ("", "two words"),
    ("two words", ""),
    ("   ", "\t"),
    # Case and punctuation count.
    ("Hello, world.", "hello world"),
    ("don't stop", "dont stop"),
    # Ties between alignments.
    ("a b", "b a"),
    ("a b c", "b c a"),
    ("a b c d", "d c b a"),
    ("a a a b", "b a a a"),
    ("one two three", "two three four"),
    ("x a b y", "x b a y"),
    ("a b a b a b", "b a b a"),
    ("q a b x c d", "a b y c d f"),
    # White space: repeated, leading and trailing, tabs alone and in company, no-break and ideographic spaces,
    # separators that only Python calls white space, a zero-width space that nobody does.
    ("a  b   c", "a b c"),
    ("  a b  ", "a b"),
    ("a\tb", "a b"),
    ("a\t\tb", "a b"),
    ("a \tb", "a b"),
    ("a\u00a0b", "a b"),
    ("a\u00a0\u00a0b", "a b"),
    ("a\u3000b", "a b"),
    ("a\u2028 b", "a b"),
    ("a\u001f\u001fb", "a b"),
    ("\u001ca b\u001e", "a b"),
    ("a\u001fb", "a b"),
    ("a\u200bb", "a b"),
    ("a\u0085\u0085b", "a b"),
    ("a \u200b b", "a b"),
    # Unicode: composed and decomposed, sharp s, Greek final sigma, Devanagari with virama, Arabic, emoji sequences.
    ("caf\u00e9 noir", "cafe\u0301 noir"),
    ("cafe\u0301", "cafe"),
    ("\u0301", ""),
    ("Straße", "Strasse"),
    ("ὀδυσσεύς", "οδυσσευς"),
    ("संधि शब्द", "सन्धि शब्द"),
    ("سلام عليكم", "السلام عليكم"),
    ("日本語 を 話す", "日本 語 話す"),
    ("\U0001f468\u200d\U0001f469\u200d\U0001f467 ok", "\U0001f468 ok"),
    ("\U0001d400 plane one", "A plane one"),
    ("i\u0307 dotted", "i dotted"),
    # Longer, with every kind of edit.
    ("please call the number seven two nine before noon", "police call number seventy nine before the noon"),
    ("enter six two", "and her sixty two"),
]


def random_cases(count, seed):
    draw = random.Random(seed)
    words = ["a", "b", "c", "ab", "ba", "caf\u00e9", "e\u0301", "नि", ",", "Z"]
    gaps = [" ", " ", " ", "  ", "\t", " \t", "\u00a0"]

    def line(longest):
        parts = []
        for _ in range(draw.randint(0, longest)):
            parts += [draw.choice(words), draw.choice(gaps)]
        return "".join(parts)

    for _ in range(count):
        reference = line(12)
        if draw.random() < 0.5:
            yield reference, line(12)
            continue
        # A corrupted copy: few errors, many hits, as a recognizer's output has.
        copy = []
        for word in reference.split(" "):
            chance = draw.random()
            if chance < 0.15:
                continue
            copy.append(draw.choice(words) if chance < 0.3 else word)
            if chance > 0.85:
                copy.append(draw.choice(words))
        yield reference, " ".join(copy)


def counts(out):
    return {key: getattr(out, key) for key in ("substitutions", "deletions", "insertions", "hits")}


def case(reference, hypothesis):
    return {
        "reference": reference,
        "hypothesis": hypothesis,
        "word": counts(jiwer.process_words([reference], [hypothesis])),
        "character": counts(jiwer.process_characters([reference], [hypothesis])),
    }


def corpus(pairs):
    references, hypotheses = [list(side) for side in zip(*pairs)]
    return {
        "references": references,
        "hypotheses": hypotheses,
        "wer": float(jiwer.wer(references, hypotheses)),
        "cer": float(jiwer.cer(references, hypotheses)),
    }


cases = FIXED + list(random_cases(300, seed=4))
corpora = [
    cases,
    FIXED[:6],
    [("", ""), ("", "  ")],
    [("", "a b"), ("", "c")],
    [("", "a b"), ("x", "x")],
    [("a b c", ""), ("d", "")],
]
versions = {
    "python": sys.version.split()[0],
    "jiwer": importlib.metadata.version("jiwer"),
    "rapidfuzz": rapidfuzz.__version__,
}
# One case a line, so that a change shows as a short diff.
print('{"versions": ' + json.dumps(versions) + ',\n"cases": [')
print(",\n".join(json.dumps(case(*pair)) for pair in cases))
print('],\n"corpora": [')
print(",\n".join(json.dumps(corpus(pairs)) for pairs in corpora))
print("]}")
