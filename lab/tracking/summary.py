"""TensorBoard's verbs, for modules that call `logger.experiment.add_scalar` and its like: all of it lands in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from lab.tracking import media
from lab.tracking.client import JournalingClient
from lab.tracking.names import file_name
from lab.tracking.warn_once import warn_once


class SummaryVerbs(JournalingClient):
    """The methods of `torch.utils.tensorboard.SummaryWriter`, with its own names and order of arguments.

    Numbers become metrics; pictures, films, sounds and texts become artifacts in `images/`, `videos/`, `audio/`,
    `texts/` and `embeddings/`, one for each step.
    """

    def add_scalar(self, tag: str, scalar_value: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        self._tracker.log_numbers({tag: scalar_value}, global_step)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Any = None, *_: Any, **__: Any
    ) -> None:
        numbers = {f"{main_tag}/{tag}": value for tag, value in tag_scalar_dict.items()}
        self._tracker.log_numbers(numbers, global_step)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: Any = None,  # noqa: ARG002 - Lightning's users give what follows by place
        dataformats: str = "CHW",
    ) -> None:
        self._picture(tag, global_step, lambda: media.picture(img_tensor, dataformats))

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: Any = None,  # noqa: ARG002 - the same
        dataformats: str = "NCHW",
    ) -> None:
        self._picture(tag, global_step, lambda: media.grid(img_tensor, dataformats))

    def add_figure(
        self, tag: str, figure: Any, global_step: int | None = None, close: bool = True, *_: Any, **__: Any
    ) -> None:
        figures = figure if isinstance(figure, Sequence) else [figure]
        for i, one in enumerate(figures):
            self._picture(tag if len(figures) == 1 else f"{tag}_{i}", global_step, partial(media.picture, one))
        if close:
            from matplotlib import pyplot

            for one in figures:
                pyplot.close(one)

    def add_histogram(self, tag: str, values: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        self._picture(tag, global_step, lambda: media.histogram(values), folder="histograms")

    def add_text(self, tag: str, text_string: str, global_step: int | None = None, *_: Any, **__: Any) -> None:
        self._file("texts", tag, global_step, ".md", str(text_string).encode())

    def add_video(
        self, tag: str, vid_tensor: Any, global_step: int | None = None, fps: float = 4, *_: Any, **__: Any
    ) -> None:
        self._file("videos", tag, global_step, ".gif", media.film(vid_tensor, fps))

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: int | None = None, sample_rate: int = 44100, *_: Any, **__: Any
    ) -> None:
        self._file("audio", tag, global_step, ".wav", media.sound(snd_tensor, sample_rate))

    def add_embedding(
        self,
        mat: Any,
        metadata: Sequence[Any] | None = None,
        label_img: Any = None,
        global_step: int | None = None,
        tag: str = "default",
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        rows = media.array(mat)
        self._file("embeddings", f"{tag}/tensors", global_step, ".tsv", _table(rows))
        if metadata is not None:
            lines = ([metadata_header] if metadata_header else []) + list(metadata)
            self._file("embeddings", f"{tag}/metadata", global_step, ".tsv", _table(lines))
        if label_img is not None:
            self._picture(f"{tag}/sprites", global_step, lambda: media.grid(label_img), folder="embeddings")

    def add_hparams(
        self, hparam_dict: Mapping[str, Any], metric_dict: Mapping[str, Any], *_: Any, **named: Any
    ) -> None:
        self._tracker.log_params(hparam_dict)
        self._tracker.log_numbers(metric_dict, named.get("global_step"))

    def add_graph(self, *_: Any, **__: Any) -> None:
        """Nothing: the trained model is logged at the end, as a graph too."""

    def add_custom_scalars(self, *_: Any, **__: Any) -> None:
        """Nothing: which curves stand in one chart is chosen on MLflow's page."""

    def flush(self) -> None:
        """Nothing: what is logged is written down every two seconds."""

    def close(self) -> None:
        """Nothing: the run ends itself."""

    def _picture(self, tag: str, step: int | None, draw: Any, folder: str = "images") -> None:
        """Draws and keeps a picture; one that is none is said once and left out, for the training matters more."""
        try:
            image = media.png(draw())
        except (ValueError, TypeError, OSError) as error:
            warn_once(f"{tag}: left out: {error}")
        else:
            self._file(folder, tag, step, ".png", image)

    def _file(self, folder: str, tag: str, step: int | None, ending: str, content: bytes) -> None:
        self.write_artifact(f"{folder}/{file_name(tag, self._tracker.step_of(step), ending)}", content)


def _table(rows: Any) -> bytes:
    """Rows as lines, and their entries between tabs."""
    lines = [row if isinstance(row, list | tuple | np.ndarray) else [row] for row in rows]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines).encode()
