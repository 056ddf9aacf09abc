"""Tokenizers: what is encoded comes back, and a tokenizer travels in the state dict of its network."""

from __future__ import annotations

import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import BadInput, BadSetting
from lab.text.tokenizer import KINDS, PAD, SPECIAL, UNKNOWN, Tokenizer, TokenizerKind, pieces

TEXTS = ["The soup was good.", "the room was NOT good", "a very quiet room"]


def trained(kind: TokenizerKind, vocab_size: int = 400) -> Tokenizer:
    tokenizer = Tokenizer(kind, vocab_size)
    tokenizer.train_on(TEXTS)
    return tokenizer


@pytest.mark.parametrize(
    ("kind", "text"),
    [("word", "the soup was good ."), ("bpe", "The soup was good."), ("char", "The soup was good.")],
)
def test_what_is_encoded_comes_back(kind: TokenizerKind, text: str) -> None:
    tokenizer = trained(kind)
    rows = tokenizer.encode([TEXTS[0], "", TEXTS[1]])
    assert rows.lengths[1] == 0
    assert tokenizer.decode(rows[0]) == text
    assert int(rows.values.min()) >= len(SPECIAL)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=30))
def test_byte_pairs_know_every_text(text: str) -> None:
    assert BYTES.decode(BYTES.encode([text])[0]) == text


BYTES = trained("bpe")


@pytest.mark.parametrize("kind", ["word", "char"])
def test_what_is_unknown_is_one_token(kind: TokenizerKind) -> None:
    assert trained(kind).encode(["ß"])[0].tolist() == [UNKNOWN]


def test_the_most_frequent_tokens_are_kept() -> None:
    tokenizer = trained("word", vocab_size=len(SPECIAL) + 2)
    assert [tokenizer.token(i) for i in range(4, 6)] == ["good", "room"] or tokenizer.token(4) in ("room", "was")
    assert int(tokenizer.encode(TEXTS).values.max()) < len(SPECIAL) + 2


@pytest.mark.parametrize("kind", KINDS)
def test_it_travels_in_the_state_dict(kind: TokenizerKind) -> None:
    first, second = trained(kind), Tokenizer(kind, 400)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.encode(TEXTS).values, second.encode(TEXTS).values)
    file = tokenizers.Tokenizer.from_str(first.to_json().decode())
    assert file.encode(TEXTS[0]).ids == first.encode(TEXTS)[0].tolist()
    assert file.token_to_id("[PAD]") == PAD


def test_one_without_a_vocabulary_says_so() -> None:
    untrained = Tokenizer("word", 100)
    with pytest.raises(BadInput, match="no vocabulary yet"):
        untrained.encode(["a"])
    other = Tokenizer("word", 100)
    other.load_state_dict(untrained.state_dict())
    assert not other.trained


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(BadSetting, match="word"):
        Tokenizer("words", 100)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("char", 400, "tokenizer: its tokenizer is a bpe tokenizer, and char was asked for"),
        ("word", 400, "tokenizer: its tokenizer is a bpe tokenizer, and word was asked for"),
        ("bpe", 262, r"vocab_size: its tokenizer has \d+ tokens, and the network 262"),
    ],
)
def test_another_vocabulary_is_refused(kind: TokenizerKind, size: int, message: str) -> None:
    other = Tokenizer(kind, size)
    with pytest.raises(BadSetting, match=message):
        other.load_state_dict(BYTES.state_dict())
    assert not other.trained


def test_byte_pairs_need_a_token_for_each_byte() -> None:
    with pytest.raises(BadSetting, match="vocab_size: bpe begins with 260 tokens, one a byte; found 259"):
        Tokenizer("bpe", 259)
    assert trained("bpe", 260).size == 260


@settings(max_examples=50, deadline=None)
@given(text=st.text(alphabet="the soup\n\t.'", max_size=80), size=st.integers(1, 20))
def test_a_text_in_pieces_has_the_same_tokens(text: str, size: int) -> None:
    parts = pieces(text, size)
    assert "".join(parts) == text
    for tokenizer in TOKENIZERS:
        found = torch.cat([tokenizer.encode([part]).values for part in parts])
        assert torch.equal(found, tokenizer.encode([text]).values)


TOKENIZERS = [BYTES, trained("word"), trained("char")]
