"""The census of a package's modules puts the blame where it belongs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import census

MODULES = '''
from abc import ABC, abstractmethod
from lightning import LightningModule
from lightning.pytorch.demos.boring_classes import BoringModel
from torch import nn

class Fine(BoringModel):
    def __init__(self, net: nn.Module, size: int, name: str, sizes: list[int], pair: tuple[int, float]):
        super().__init__()
        assert isinstance(net, nn.Module) and name and len(pair) == 2

class Base(BoringModel, ABC):
    @abstractmethod
    def build(self): ...

class Even(BoringModel):
    def __init__(self, size: int):
        super().__init__()
        if size % 2 == 0:
            raise ValueError("size must be odd")

class Bare(LightningModule):
    training_step = BoringModel.training_step

class Idle(LightningModule):
    configure_optimizers = BoringModel.configure_optimizers

class Wheel:
    """Of no kind that is made where no type says so."""

class Untyped(BoringModel):
    def __init__(self, wheel):
        super().__init__()
        assert isinstance(wheel, Wheel)
'''


@pytest.mark.slow
def test_each_class_is_counted_on_the_side_where_the_reason_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "models.py").write_text(MODULES)
    (tmp_path / "shop" / "broken.py").write_text("import no_such_package")
    (tmp_path / "written.yaml").write_text("shop.*.Untyped: {wheel: {class_path: shop.models.Wheel}}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(census, "WRITTEN", tmp_path / "written.yaml")
    rows = [census.judge(kind, tmp_path) for kind in census.classes("shop")]
    assert "shop.broken: No module named 'no_such_package'" in capsys.readouterr().err
    found = {row.name.rpartition(".")[2]: row for row in rows}
    verdicts = {name: row.verdict for name, row in found.items()}
    assert verdicts == {
        "Fine": "passes",
        "Bare": "passes",
        "Base": "abstract",
        "Even": "not constructible",
        "Idle": "not trainable",
        "Untyped": "fails",
    }
    counts = Counter(verdicts.values())
    assert census.shares(counts) == "2 of 3 that can be trained pass (66.7 %), 2 of 4 that can be constructed (50.0 %)"
    assert "size must be odd" in found["Even"].reason
    assert "where no type says so only" in found["Untyped"].reason
