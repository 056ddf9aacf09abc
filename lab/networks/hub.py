"""Pretrained weights from the Hugging Face Hub or its cache, on a machine that may be offline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import LabError


@contextmanager
def pretrained_weights(name: str, otherwise: str) -> Iterator[None]:
    """Inside, files come from the cache, and from the Hub if it can be reached; whatever fails becomes one line.

    Args:
        name: of the network, as a recipe calls it.
        otherwise: what the user can do instead of downloading them, such as `leave out pretrained`.

    Raises:
        LabError: there are no such weights here, or they are those of another network.
    """
    try:
        with reachable_hub():
            yield
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # of timm, open_clip, torchvision and the Hub
        reason = " ".join(str(error).split())[:200]
        raise LabError(
            f"there are no pretrained weights for {name} ({reason}); download them by running this once online, "
            f"or {otherwise}"
        ) from None


@contextmanager
def reachable_hub() -> Iterator[None]:
    """Inside, `huggingface_hub` is in offline mode if the Hub cannot be reached, which is tried once.

    Left to itself it would ask six times for each file, with a warning each time and half a minute in all.
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
