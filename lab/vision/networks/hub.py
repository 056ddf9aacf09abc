"""The Hugging Face Hub, from which several libraries have their weights, on a machine that may have no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within_reach() -> Iterator[None]:
    """Inside, files come from the cache, and from the Hub if it can be reached.

    It is asked for that once. Left to itself, `huggingface_hub` would ask six times for each file, with a warning each
    time and half a minute in all, before it says that there is no network.
    """
    from huggingface_hub import constants, get_session

    before = constants.HF_HUB_OFFLINE
    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception:  # of which library they are depends on the version
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
