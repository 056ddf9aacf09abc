"""Addresses of servers without their secrets: everything but user name, password and what looks secret in its query."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote, unquote_plus

SECRET = re.compile(
    r"(^|[;&?])[^=;&?]*(pass|pwd|secret|token|credential|signature|auth|(^|[-_;&?])key=|api-?key)", re.I
)

SHORT = 5  # characters; what has fewer is no more than part of a word of a message
BEGIN = r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2}))"  # of a word, also after an encoded character
OPENING = r"(?:(?<=[:=/@'\"|<(?&])|(?<=%[0-9A-Fa-f]{2}))"  # before a secret in an address, a setting or a quotation
CLOSING = r"(?=[@&'\"|>]|%40)"  # and behind it

_known: set[str] = set()  # the addresses that this process has used


def without_password(uri: str) -> str:
    """The address, for people to read: user name, password and whatever looks secret in its query are left out.

    Never raises, whatever the address looks like.
    """
    scheme, _, place, pairs = _parts(uri)
    kept = [pair for pair in pairs if not _secret_values(pair)]
    return f"{scheme}{place}{'?' if kept else ''}{'&'.join(kept)}"


def redact(text: str, uri: str) -> str:
    """A text to keep, such as a recipe, with the address in it as `without_password` has it."""
    _, user, _, _ = _parts(uri)
    if address := uri.rstrip("/"):  # MLflow cuts that off
        shown = without_password(uri)
        text = text.replace(uri, shown).replace(address, shown.rstrip("/"))
    return re.sub(rf"(?<!\w){re.escape(user)}@", "", text) if ":" in user else text


def mask_addresses(text: str) -> str:
    """A message of ours with every address that this process has used as `without_password` has it."""
    for known in _addresses():
        text = redact(text, known)
    return text


def mask_secrets(text: str, uri: str | None = None) -> str:
    """A library's message without the address's secrets, on their own or in any spelling that it may give them.

    A secret that is short or a plain word is hidden only where an address or a quotation has it, for it may be a word
    of the message too; and in no case within another word.

    Args:
        text: what a library says.
        uri: the address; by default every one that this process has used.
    """
    addresses = _addresses() if uri is None else {uri}
    secrets: set[str] = set()
    for known in addresses:
        text = redact(text, known)
        _, user, _, pairs = _parts(known)
        name, colon, password = user.partition(":")
        secrets |= _spellings(
            [password if colon else name, *(value for pair in pairs for value in _secret_values(pair))]
        )
    if not secrets:
        return text
    pattern = re.compile("|".join(_occurrence(secret) for secret in sorted(secrets, key=len, reverse=True)))
    shown = {
        address for known in addresses for address in (without_password(known), without_password(known).rstrip("/"))
    }
    places = "|".join(re.escape(address) for address in sorted(shown - {""}, key=len, reverse=True))
    pieces = re.split(f"({places})", text) if places else [text]
    return "".join(piece if i % 2 else pattern.sub("***", piece) for i, piece in enumerate(pieces))


def _occurrence(secret: str) -> str:
    """A regular expression for where a message has the secret, and not a word that happens to be the same."""
    begin = BEGIN if re.match(r"\w", secret) else ""
    end = r"(?!\w)" if re.search(r"\w$", secret) else ""
    whole = f"{begin}{re.escape(secret)}{end}"
    if len(secret) >= SHORT and not re.fullmatch("[A-Z]?[a-z]+", secret):
        return whole
    return f"{OPENING}{whole}|{whole}{CLOSING}"


def keep_secret(uri: str) -> None:
    """From now on `mask_secrets` leaves out the secrets of this address."""
    _known.add(uri)


def _parts(uri: str) -> tuple[str, str, str, list[str]]:
    """Scheme, user and password, host and path, the query's pairs. By hand, since urllib raises at typing mistakes."""
    found = re.match(r"((?:[a-z][\w+.-]*:)?/*)(.*)", uri, re.I | re.S)
    assert found is not None  # it matches anything
    scheme, rest = found.groups()
    user = ""
    if not scheme.lower().startswith(("sqlite", "file", "/")):
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        port = authority.rpartition(":")[2] if ":" in authority else "0"
        if "@" in authority:
            user = authority.rpartition("@")[0]
        elif not port.isdigit() or "//" not in scheme:  # no port but the start of a password with a slash in it
            user = rest.rpartition("@")[0]
        rest = rest[len(user) + 1 :] if user or rest.startswith("@") else rest
    place, *query = re.split(r"[?#]", rest, maxsplit=1)
    return scheme, user, place, re.split(r"[&#]", query[0]) if query else []


def _secret_values(pair: str) -> list[str]:
    """The secrets in a pair of the query; a pair may hold pairs of its own, as ODBC's `odbc_connect` does."""
    inner = [piece for piece in re.split("[;&?]", unquote_plus(pair)) if SECRET.search(piece)]
    return [piece.partition("=")[2] for piece in (pair, *inner)] if inner else []


def _spellings(secrets: list[str]) -> set[str]:
    """As they were typed, decoded, encoded as requests and urllib do it, and as they look inside quotes."""
    found = set(secrets)
    found |= {unquote(secret) for secret in found} | {unquote_plus(secret) for secret in found}
    found |= {quote(secret, safe="") for secret in found} | {
        quote(secret, safe="!#$%&'()*+,/:;=?@[]~") for secret in found
    }
    found |= {re.sub(r"%[0-9a-f]{2}", lambda code: code[0].upper(), secret) for secret in found}
    found |= {repr(secret)[1:-1] for secret in found}
    return found - {""}


def _addresses() -> set[str]:
    return _known | {os.environ.get("MLFLOW_TRACKING_URI", "")} - {""}
