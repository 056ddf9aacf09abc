"""Public data sets of texts: where their files are from, and how they are read."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from lab.data import download_file, fetch_into, read_csv, read_lines
from lab.errors import BadSetting

GITHUB = "https://raw.githubusercontent.com"
AG_NEWS = f"{GITHUB}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"
SST2 = f"{GITHUB}/clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2"

MULTI30K = "http://www.quest.dcs.shef.ac.uk/wmt16_files_mmt"


class Remote(NamedTuple):
    """
    Args:
        url: of a file.
        sha256: of its content.
    """

    url: str
    sha256: str


FILES: dict[str, dict[str, Remote]] = {  # by data set and by the name that a file gets
    "ag_news": {
        "train.csv": Remote(f"{AG_NEWS}/train.csv", "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e"),
        "test.csv": Remote(f"{AG_NEWS}/test.csv", "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699"),
    },
    "sst2": {
        "train.tsv": Remote(f"{SST2}/train.tsv", "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
        "test.tsv": Remote(f"{SST2}/test.tsv", "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
    },
    "conll2003": {
        "conll2003.zip": Remote(
            "https://data.deepai.org/conll2003.zip", "96a104d174ddae7558bab603f19382c5fe02ff1da5c077a7f3ce2ced1578a2c3"
        )
    },
    "wikitext2": {
        "wikitext-2-v1.zip": Remote(
            "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
            "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
        )
    },
    "multi30k": {
        "training.tar.gz": Remote(
            f"{MULTI30K}/training.tar.gz", "20140d013d05dd9a72dfde46478663ba05737ce983f478f960c1123c6671be5e"
        ),
        "validation.tar.gz": Remote(
            f"{MULTI30K}/validation.tar.gz", "a7aa20e9ebd5ba5adce7909498b94410996040857154dab029851af3a866da8c"
        ),
        "mmt16_task1_test.tar.gz": Remote(
            f"{MULTI30K}/mmt16_task1_test.tar.gz", "0681be16a532912288a91ddd573594fbdd57c0fbb81486eff7c55247e35326c2"
        ),
    },
    "text8": {
        "text8.zip": Remote(
            "http://mattmahoney.net/dc/text8.zip", "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232"
        ),
        "questions-words.txt": Remote(
            f"{GITHUB}/tmikolov/word2vec/20c129af10659f7c50e86e3be406df663beff438/questions-words.txt",
            "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
        ),
        "wordsim353.txt": Remote(
            f"{GITHUB}/mfaruqui/eval-word-vectors/94b3dd9fdbac7ed08dbee7179cd5ee464acf0594/data/word-sim/EN-WS-353-ALL.txt",
            "ce12919b240af45bdf46d243601eaca2b6212b159b5e7e9b435ee7ee40c5619c",
        ),
    },
}


def fetch_files(name: str, files: Mapping[str, Remote]) -> None:
    """The folder of a data set with its files, and with what archives among them hold.

    Raises:
        LabError: there is no network, no room, or a checksum is another one.
    """

    def fill(folder: Path) -> None:
        for file, remote in files.items():
            download_file(remote.url, folder / file, remote.sha256)
            if file.endswith(".zip"):
                with zipfile.ZipFile(folder / file) as archive:
                    archive.extractall(folder)
            if file.endswith(".tar.gz"):
                with tarfile.open(folder / file) as several:
                    several.extractall(folder, filter="data")

    fetch_into(name, fill)


def read_ag_news(folder: Path, split: Literal["train", "test"], classes: Sequence[str]) -> tuple[list[str], list[int]]:
    """Title and description of each article, and the number of its topic from 0.

    Raises:
        BadSetting: a row is no number from 1, a title and a description.
    """
    file = read_csv(folder / f"{split}.csv", comment="")
    texts, labels = [], []
    for line, row in zip(file.lines, file.rows, strict=True):
        if len(row) != 3 or row[0] not in map(str, range(1, len(classes) + 1)):
            expected = f"a number from 1 to {len(classes)}, a title and a description"
            raise BadSetting("name", f"{file.path}:{line}: expected {expected}, found {row[0][:40]!r}")
        texts.append(f"{row[1]} {row[2]}".replace("\\", " "))  # a line break of the source
        labels.append(int(row[0]) - 1)
    return texts, labels


def read_sst2(folder: Path, split: Literal["train", "test"]) -> tuple[list[str], list[int]]:
    """Sentences of film reviews, and 1 where one is positive.

    Raises:
        BadSetting: a line is no sentence with 0 or 1 behind a tab.
    """
    path = folder / f"{split}.tsv"
    texts, labels = [], []
    for number, line in enumerate(read_lines(path), 1):
        text, tab, label = line.rpartition("\t")
        if not tab or label not in ("0", "1"):
            raise BadSetting("name", f"{path}:{number}: expected a sentence, a tab and 0 or 1, found {line[-40:]!r}")
        texts.append(text)
        labels.append(int(label))
    return texts, labels
