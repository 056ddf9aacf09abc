"""Words: a tokenizer that belongs to the network and travels with it, and token ids as inputs of the exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import mlflow
import pytest
import torch
from annotated_types import Ge, Gt
from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lab
from lab import testing
from lab.errors import LabError
from lab.runner.evaluate import evaluate
from lab.runner.results import find_run
from lab.runner.resume import resume
from lab.task import Task

pytestmark = pytest.mark.slow
GLAD, SAD = "sun warm bright happy song dance", "rain cold grey lonely silence tears"


class Tokenizer(nn.Module):
    """The words of a network by number: 0 pads, 1 is any unknown word; its words are part of the state dict."""

    def __init__(self, length: int, most: int) -> None:
        super().__init__()
        self.length, self.most = length, most
        self.words: list[str] = []

    def learn(self, texts: list[str]) -> None:
        self.words = sorted({word for text in texts for word in text.split()})[: self.most - 2]

    def forward(self, texts: list[str]) -> Tensor:
        """Token ids (B, length)."""
        number = {word: i for i, word in enumerate(self.words, start=2)}
        ids = torch.zeros(len(texts), self.length, dtype=torch.long)
        for row, text in zip(ids, texts, strict=True):
            found = [number.get(word, 1) for word in text.split()][: self.length]
            row[: len(found)] = torch.tensor(found)
        return ids

    def get_extra_state(self) -> Tensor:
        return torch.tensor(list("\n".join(self.words).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        self.words = bytes(state.tolist()).decode().split("\n")


class BagOfWords(LightningModule):
    """A linear classifier on the mean of the embeddings of words.

    Args:
        classes: how many there are; a fact of the data.
        length: words of a text that are looked at.
        lr: AdamW's learning rate.
    """

    def __init__(self, classes: int, length: Annotated[int, Ge(1)] = 6, lr: Annotated[float, Gt(0)] = 0.05) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.tokenizer = Tokenizer(length, most=32)
        self.embedding, self.head = nn.EmbeddingBag(32, 8, padding_idx=0), nn.Linear(8, classes)
        self.lr = lr
        self.example_input_array = torch.zeros(1, length, dtype=torch.long)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.embedding(tokens))
        return scores

    def assets(self) -> dict[str, bytes]:
        return {"vocabulary.txt": "\n".join(self.tokenizer.words).encode()}

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor]) -> None:
        self.log("val/accuracy", (self(batch[0]).argmax(1) == batch[1]).float().mean())

    def test_step(self, batch: list[Tensor]) -> None:
        self.log("test/accuracy", (self(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class Reviews(LightningDataModule):
    """Texts of glad and of sad words, as the network's own tokenizer reads them.

    Args:
        texts: how many.
        extra: a word that all of them have besides.
    """

    tokenizer: Tokenizer

    def __init__(self, texts: Annotated[int, Ge(8)] = 64, extra: str = "the") -> None:
        super().__init__()
        self.save_hyperparameters()
        dice = torch.Generator().manual_seed(0)
        self.labels = torch.randint(2, (texts,), generator=dice)
        self.texts = []
        for label in self.labels:
            words, chosen = (SAD, GLAD)[int(label)].split(), torch.randint(6, (4,), generator=dice)
            self.texts.append(" ".join([extra, *(words[i] for i in chosen)]))

    def facts(self) -> dict[str, int]:
        return {"classes": 2}

    def connect(self, module: BagOfWords) -> None:
        self.tokenizer = module.tokenizer

    def setup(self, stage: str) -> None:  # noqa: ARG002
        if not self.tokenizer.words:
            self.tokenizer.learn(self.texts)

    def _loader(self, shuffle: bool) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.tokenizer(self.texts), self.labels), batch_size=16, shuffle=shuffle)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(shuffle=False)

    test_dataloader = val_dataloader


@pytest.fixture
def recipe(tracked: Path) -> tuple[str, ...]:
    """The file, and the settings of every run."""
    file = tracked / "reviews.yaml"
    file.write_text(
        f"task: {{module: {__name__}:BagOfWords, data: {__name__}:Reviews, monitor: val/accuracy, mode: max}}\n"
        "threads: 1\ntrainer: {max_epochs: 3, accelerator: cpu}\ncheckpoint: {steps: 1}\n"
    )
    return str(file), f"track.uri=sqlite:///{tracked}/mlflow.db", "track.system_metrics=false"


def weights(path: Path | None) -> dict[str, Tensor]:
    assert path is not None
    found: dict[str, Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return found


def test_a_tokenizer_travels_with_its_network(recipe: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lab.run(*recipe)
    assert whole.score is not None
    assert whole.score > 0.95

    step, calls = BagOfWords.training_step, iter(range(1000))

    def failing(self: BagOfWords, batch: list[Tensor]) -> Tensor:
        if next(calls) == 6:
            raise RuntimeError("cut off")
        return step(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(BagOfWords, "training_step", failing)
        with pytest.raises(LabError, match="cut off"):
            lab.run(*recipe, "track.name=broken")
    resumed = resume("broken", whole.uri)
    left, right = weights(whole.last), weights(resumed.last)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert evaluate(whole.run_id, None, "best", (), whole.uri) == {"test/accuracy": whole.score}

    task = Task(BagOfWords, Reviews, "val/accuracy", "max")
    testing.check_parameters(task)
    testing.check_checkpoints(task, resumed)
    testing.check_logged_model(task, resumed)

    alone = BagOfWords.load_from_checkpoint(whole.best, weights_only=True)
    words = sorted({"the", *GLAD.split(), *SAD.split()})
    assert alone.tokenizer.words == words
    texts = ["the sun warm song", "the rain and tears"]
    mlflow.set_tracking_uri(whole.uri)
    logged = mlflow.pytorch.load_model(f"runs:/{whole.run_id}/reviews")
    torch.testing.assert_close(logged(alone.tokenizer(texts)), alone(alone.tokenizer(texts)))
    folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{whole.run_id}/reviews"))
    assert (folder / "extra_files" / "vocabulary.txt").read_text().split() == words


def test_another_run_begins_with_its_words(recipe: tuple[str, ...]) -> None:
    first = lab.run(*recipe, "data.extra=an")
    begun = lab.run(*recipe, "data.extra=unheard", f"start_from.run={first.run_id}", "track.name=begun")
    words = BagOfWords.load_from_checkpoint(begun.last, weights_only=True).tokenizer.words
    assert "an" in words
    assert "unheard" not in words
    assert find_run("begun", first.uri).data.params["start_from.run"] == first.run_id
