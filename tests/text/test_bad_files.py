"""Bad files of series and words on the command line: exit code 2, and one line that says where and what."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import main

LATIN = "one\nM\u00fcller\n".encode("latin-1")
SOLD = [f"{day},{day % 9}" for day in range(300)]
TEXTS, PAIRS, SERIES = "classify_text_reviews", "seq2seq_phrases", "forecast_seasonal"
LONG_TEXTS = b"text,label\n" + b"good,yes\nbad,no\n" * 5 + (b"good " * 65 + b",yes\n") * 9
LONG_SENTENCES = (b"a O\nb N\n\n" * 5) + (b"a O\n" * 129 + b"\n") * 9
LONG_PAIRS = b"source,target\n" + (b"a " * 40 + b",b\n") * 9

CASES: dict[str, tuple[str, list[str], bytes, str]] = {
    "an empty corpus": ("language_model_python_help", ["name=corpus"], b"", "is empty"),
    "a corpus of another encoding": ("word_vectors_stories", ["name=corpus"], LATIN, ":2: byte 0xfc is not UTF-8"),
    "empty texts": (TEXTS, ["name=texts"], b"", "is empty"),
    "texts of another encoding": (TEXTS, ["name=texts"], b"text,label\na,b\n" + LATIN, ":4: byte 0xfc is not UTF-8"),
    "a text without a label": (TEXTS, ["name=texts"], b"text,label\na,b\nc,\n", ":3: column label is empty"),
    "no tagged words": ("tag_text_reports", ["name=conll"], b"\n", "has no tagged words"),
    "a word without a tag": ("tag_text_reports", ["name=conll"], b"a O\nb\n", ":2: expected 2 columns as above"),
    "no pairs": (PAIRS, ["name=pairs"], b"", "is empty"),
    "pairs of another encoding": (PAIRS, ["name=pairs"], b"source,target\n" + LATIN, ":3: byte 0xfc is not UTF-8"),
    "an empty series": (SERIES, [], b"", "is empty"),
    "a series of another encoding": (SERIES, [], b"day,sold\n" + LATIN, ":3: byte 0xfc is not UTF-8"),
    "a gap": (SERIES, ["column=sold"], "\n".join(["day,sold", *SOLD, "300,"]).encode(), ":302: column sold: no value"),
    "a word in a number's place": (
        SERIES,
        ["column=sold"],
        "\n".join(["day,sold", *SOLD, "300,many"]).encode(),
        ":302: column sold: expected a number, found 'many'",
    ),
    "a series that is too short": (SERIES, ["column=sold"], b"day,sold\n1,2\n2,3\n", "need 60 points"),
    "a long text": (
        TEXTS,
        ["name=texts"],
        LONG_TEXTS,
        "a text of the train part has 65 tokens",
    ),
    "a long text of byte pairs": (TEXTS, ["name=texts", "model.tokenizer=bpe"], LONG_TEXTS, "65 tokens, and the net"),
    "a long sentence": ("tag_text_reports", ["name=conll"], LONG_SENTENCES, "has 129 words, and the network takes 128"),
    "a long pair": (
        PAIRS,
        ["name=pairs", "model.max_length=40"],
        LONG_PAIRS,
        "has 42 tokens with its beginning",
    ),
    "byte pairs without bytes": ("language_model_python_help", ["model.vocab_size=100", "name=corpus"], b"a b", "260"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, settings, content, message = CASES[case]
    path = tmp_path / "file"
    path.write_bytes(content)
    keys = [each if "." in each.partition("=")[0] else f"data.{each}" for each in [*settings, f"path={path}"]]
    with pytest.raises(SystemExit) as exit_code:
        main(["check", recipe, *(word for key in keys for word in ("-o", key))])
    said = [line for line in capsys.readouterr().err.splitlines() if message in line]
    assert exit_code.value.code == 2
    assert len(said) == 1
