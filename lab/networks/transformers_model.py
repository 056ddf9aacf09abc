"""Models of transformers by name: their files, in a folder or in the cache of huggingface_hub, and their weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.errors import BadSetting, LabError

TRANSFORMERS = "transformers:"  # before the name of a model, where a recipe names a network
# whatever transformers raises for a model that it cannot build or load
REFUSALS = (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError, IndexError)


def import_transformers(name: str, extra: str) -> Any:
    """The package, which prints nothing but errors from now on.

    Args:
        name: of the model that is wanted.
        extra: of torch-lab, which the package comes with.

    Raises:
        BadSetting: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        needs = f"needs a package that is not installed: pip install 'torch-lab[{extra}]'"
        raise BadSetting("network", f"{TRANSFORMERS}{name} {needs}") from None
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return transformers


def model_folder(name: str) -> str:
    """The folder of a model's files.

    Raises:
        BadSetting: nowhere on this machine.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    if Path(name).is_dir():
        return name
    try:
        return snapshot_download(name, local_files_only=True)
    except HFValidationError:
        raise BadSetting("network", f"no folder {name!r}, and no model can have that name") from None
    except LocalEntryNotFoundError:
        where = "is no folder, and not in the cache of huggingface_hub"
        raise BadSetting("network", f"{name} {where}; with an internet connection run: hf download {name}") from None


@contextmanager
def building(name: str) -> Iterator[None]:
    """Inside, whatever transformers raises becomes one line.

    Raises:
        BadSetting: the model cannot be built.
    """
    try:
        yield
    except REFUSALS as error:
        raise BadSetting("network", f"{TRANSFORMERS}{name} cannot be built here: {_one_line(error)}") from None


def trained_weights(auto: Any, name: str, folder: str, unused: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The weights that lie beside the settings of a model, as a state dict.

    Args:
        auto: the class of transformers that loads it, such as `AutoModel`.
        name: of the model, as a recipe calls it.
        folder: of its files.
        unused: beginnings of the names of weights that may be missing, and are left out.

    Raises:
        LabError: they are not there, cannot be read, or are those of another network.
    """
    try:
        trained, found = auto.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
        if missing := [key for key in found["missing_keys"] if not key.startswith(unused)]:
            raise ValueError(f"they lack {min(missing)}")
    except Exception as error:  # a damaged file raises classes of safetensors and pickle
        raise LabError(
            f"there are no pretrained weights for {TRANSFORMERS}{name} in {folder}: {_one_line(error)}"
        ) from None
    weights: dict[str, Tensor] = trained.state_dict()
    return {key: value for key, value in weights.items() if not key.startswith(unused)}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
