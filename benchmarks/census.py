"""How many LightningModules of installed packages pass `lab check` with a recipe that is written for them.

    python -m benchmarks.census torchgeo rl4co          # one row for each class, then totals
    python -m benchmarks.census torchgeo --failed       # only those that do not pass

The last line has two shares: of the classes that Lightning can train, and of all that can be constructed.

Every subclass of LightningModule in a package gets a recipe with the arguments that its constructor requires: plain
values by their type, and `{class_path, init_args}` for objects; `census.yaml` has what types do not say. The data are
Lightning's own boring ones, since only the module is of interest. Weights that a constructor would download stay
random.

A class that does not pass is made by hand from the same values: if that fails too, it is not the recipe that is to
blame, and the class is counted apart. So is one without a training_step, which the check names.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import importlib
import inspect
import json
import os
import pkgutil
import socket
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import yaml
from lightning import LightningModule

from lab.imports import take_twins

Verdict = Literal["passes", "fails", "abstract", "not trainable", "not constructible"]
APART: tuple[Verdict, ...] = ("abstract", "not trainable", "not constructible")
OPTIMIZER = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}  # of modules that leave it to LightningCLI
DATA = "lightning.pytorch.demos.boring_classes:BoringDataModule"
NET = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 4, "out_features": 4}}
WRITTEN = Path(__file__).with_suffix(".yaml")


class Row(NamedTuple):
    """One class.

    Args:
        name: its dotted name.
        verdict: whether it passes, and if not, on which side the reason lies.
        reason: in one line; empty if it passes.
    """

    name: str
    verdict: Verdict
    reason: str = ""


def classes(package: str) -> Iterator[type[Any]]:
    """Every LightningModule that a package defines, by name; those of modules that cannot be imported are said."""
    found: dict[str, type[Any]] = {}
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=lambda _: None):
        if "__main__" in module.name or "tests" in module.name.split("."):
            continue
        try:
            members = vars(importlib.import_module(module.name))
        except (Exception, SystemExit) as error:
            print(f"cannot be imported: {module.name}: {_line(error)}", file=sys.stderr)
            continue
        for value in members.values():
            if (
                isinstance(value, type)
                and issubclass(value, LightningModule)
                and value.__module__.startswith(f"{package}.")
            ):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    for _, each in sorted(found.items()):
        yield each


def judge(kind: type[Any], folder: Path) -> Row:
    """Checks one class."""
    from lab.errors import LabError
    from lab.recipe import load
    from lab.runner.assemble import assemble

    name = f"{kind.__module__}.{kind.__qualname__}"
    if inspect.isabstract(kind):
        return Row(name, "abstract", f"lacks {', '.join(sorted(kind.__abstractmethods__))}")
    written = arguments(kind)
    recipe = {"task": {"module": f"{kind.__module__}:{kind.__qualname__}", "data": DATA}, "model": written}
    if kind.configure_optimizers is LightningModule.configure_optimizers:
        recipe["optimizer"] = OPTIMIZER
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({**recipe, "trainer": {"max_epochs": 1, "accelerator": "cpu"}}))  # YAML without anchors
    for attempt in range(2):  # once more after it was made by hand: a constructor may leave a folder behind
        try:
            assemble(load(path))
        except LabError as error:
            refused = _line(error).removeprefix(f"{path}:")
        except Exception as error:
            refused = f"{type(error).__name__} out of the check: {_line(error)}"
        else:
            return Row(name, "passes")
        try:
            if attempt == 0:
                kind(**{key: made(value) for key, value in written.items()})
        except (Exception, SystemExit) as error:
            return Row(name, "not constructible", f"{type(error).__name__}: {_line(error)}")
    if kind.training_step is LightningModule.training_step:
        return Row(name, "not trainable", "lacks training_step, and is refused for it")
    return Row(name, "fails", refused)


def arguments(kind: type[Any]) -> dict[str, Any]:
    """What a recipe writes for a class: the arguments that it requires, and those that are written for it."""
    from lab.keywords import REQUIRED, keywords

    name = f"{kind.__module__}.{kind.__qualname__}"
    known, extra = keywords(kind)
    written: dict[str, Any] = {}
    for pattern, values in yaml.safe_load(WRITTEN.read_text()).items():
        if fnmatch.fnmatch(name, pattern):
            written = {key: value for key, value in values.items() if key in known or extra} | written
    required = {
        key: plain(hint) for key, (hint, default) in known.items() if default is REQUIRED and key not in written
    }
    return required | written


def plain(hint: Any) -> Any:
    """A value of a type, as a recipe writes it."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    simple: dict[Any, Any] = {int: 4, float: 0.1, bool: False, str: "a", dict: {}, list: [], Any: 4}
    if origin in simple:
        return simple[origin]
    if origin is Literal:
        return inner[0]
    if origin is tuple:
        return [plain(each) for each in inner if each is not ...]
    if inner:
        return plain(inner[0])
    if isinstance(origin, type):
        return NET if origin.__qualname__ == "Module" else {"class_path": f"{origin.__module__}.{origin.__qualname__}"}
    return 4


def made(value: Any) -> Any:
    """The same value as somebody would make it by hand."""
    if isinstance(value, list):
        return [made(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    if "class_path" not in value:
        return {key: made(each) for key, each in value.items()}
    module, _, name = value["class_path"].rpartition(".")
    target = getattr(importlib.import_module(module), name)
    init_args = made(value.get("init_args", {}))
    if value.get("partial"):
        return functools.partial(target, **init_args) if init_args else target
    return target(**init_args)


def without_downloads() -> None:
    """Leaves weights random that a constructor would fetch from the Hub, from torch or by timm."""
    import timm.models._builder
    import torch
    import torchvision

    class Fetched(dict[str, Any]):
        """Weights that are not there."""

    load_state_dict = torch.nn.Module.load_state_dict

    def load(self: Any, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        return None if isinstance(state_dict, Fetched) else load_state_dict(self, state_dict, *args, **kwargs)

    torch.nn.Module.load_state_dict = load  # type: ignore[method-assign]
    torch.hub.load_state_dict_from_url = lambda *_, **__: Fetched()
    timm.models._builder.load_pretrained = lambda *_, **__: None
    torchvision.models.WeightsEnum.get_state_dict = lambda *_, **__: Fetched()


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def main() -> None:
    """Prints the census of the packages that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    parser.add_argument("--failed", action="store_true", help="print only classes that do not pass")
    parser.add_argument("--only", default="*", help="only classes whose dotted name fits this pattern")
    given = parser.parse_args()
    sys.argv = sys.argv[:1]  # some packages have a command line of their own and read it when they are imported
    os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    socket.setdefaulttimeout(5)  # for what is downloaded all the same
    warnings.simplefilter("ignore")
    take_twins()
    without_downloads()
    total: Counter[Verdict] = Counter()
    for package in given.packages:
        counts: Counter[Verdict] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            for kind in classes(package):
                if not fnmatch.fnmatch(f"{kind.__module__}.{kind.__qualname__}", given.only):
                    continue
                row = judge(kind, Path(folder))
                counts[row.verdict] += 1
                if not (given.failed and row.verdict == "passes"):
                    print(f"{row.verdict:18} {row.name}  {row.reason}".rstrip(), flush=True)
        apart = ", ".join(f"{counts[verdict]} {verdict}" for verdict in APART)
        print(f"{package}: {shares(counts)}; apart: {apart}\n", flush=True)
        total += counts
    print(f"in all: {shares(total)}")


def shares(counts: Mapping[Verdict, int]) -> str:
    """The share of the classes that Lightning can train, and that of all that can be constructed.

    >>> shares({"passes": 3, "fails": 1, "not trainable": 2, "abstract": 5})
    '3 of 4 that can be trained pass (75.0 %), 3 of 6 that can be constructed (50.0 %)'
    """
    passed, failed, idle = (counts.get(verdict, 0) for verdict in ("passes", "fails", "not trainable"))
    trainable = passed + failed
    first, second = (100 * passed / max(1, count) for count in (trainable, trainable + idle))
    return (
        f"{passed} of {trainable} that can be trained pass ({first:.1f} %), "
        f"{passed} of {trainable + idle} that can be constructed ({second:.1f} %)"
    )


if __name__ == "__main__":
    main()
