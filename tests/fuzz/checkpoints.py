"""Fuzz target: any bytes as a checkpoint. They are refused, or give what was saved; no code of theirs runs.

The first byte of an input says what the rest is: a whole file; edits of one of two real checkpoints; the pickle inside
an archive whose checksums are right, byte by byte or step by step; or the make-up of an archive.
"""

from __future__ import annotations

import contextlib
import encodings
import importlib
import io
import pickle
import pkgutil
import random
import struct
import sys
import tempfile
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import atheris
import torch
from torch import _weights_only_unpickler as unpickler

from tests.archives import Planted, archive_of, described, records, tarred, written
from tests.fuzz import harness

sys.modules.pop("zipfile")  # to be imported once more, measured
with atheris.instrument_imports(include=["zipfile", "lab"]):
    import zipfile

    from lab import files

for function in (unpickler.Unpickler.load, unpickler.get_globals_in_pkl, unpickler._read_global_instruction):
    atheris.instrument_func(function)
for name in dir(torch._utils):  # what a pickle may call
    if name.startswith("_rebuild"):
        atheris.instrument_func(getattr(torch._utils, name))

FILE, PLAIN, LIGHTNING, PICKLE, STEPS, ARCHIVE = range(6)
folder = Path(tempfile.mkdtemp(prefix="lab-fuzz-"))
path, good = folder / "tried.ckpt", folder / "good.ckpt"
watch = harness.Watch()
PLANTED = Planted(harness.MARKER)


VALUES: dict[int, Any] = {
    PLAIN: {"a": torch.arange(6.0).view(2, 3), "b": [1, -2.5, True, None, 2**70], "é": (b"bytes", {"x"}, 1j)},
    LIGHTNING: {
        "epoch": 2,
        "global_step": 30,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": OrderedDict(w=torch.nn.Parameter(torch.ones(3, 2)), b=torch.zeros(2, dtype=torch.bfloat16)),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3, "completed": 2}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5), "dirpath": "/x"}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(30.0)}}, "param_groups": [{"betas": (0.9, 0.999)}]}],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 1e-3, "hidden": [64, 64], "device": torch.device("cpu"), "dtype": torch.float32},
    },
}


files.save(VALUES[PLAIN], good)
ORIGINALS = {PLAIN: good.read_bytes(), LIGHTNING: written(VALUES[LIGHTNING])}
MEANT = {kind: described(value) for kind, value in VALUES.items()}
INSIDE = records(ORIGINALS[PLAIN])
PICKLE_NAME = next(name for name in INSIDE if name.endswith("data.pkl"))


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6tQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\0K\3\x85K\1\x85\x89ccollections\nOrderedDict\n)RtR"
NAMES = (
    *(b"os system", b"builtins eval", b"sys modules", b"torch Tensor", b"torch FloatTensor", b"torch FloatStorage"),
    *(b"torch.storage UntypedStorage", b"torch float32", b"torch int64", b"torch Size", b"torch device"),
    *(b"torch.nn.parameter Parameter", b"torch.serialization _get_layout", b"torch._tensor _rebuild_from_type_v2"),
    *(
        b"_codecs encode",
        b"collections OrderedDict",
        b"collections Counter",
        b"__builtin__ set",
        b"__builtin__ bytearray",
    ),
    *(b"torch._utils " + name.encode() for name in dir(torch._utils) if name.startswith("_rebuild")),
)


def edited(original: bytes, edits: bytes) -> bytes:
    """Bytes changed, cut away, or added, four bytes to an edit: how, where (two), and with what."""
    raw = bytearray(original)
    for kind, position, value in struct.iter_unpack(">BHB", edits[: len(edits) // 4 * 4]):
        at = position % (len(raw) + 1)
        match kind % 6:
            case 0:
                raw[at : at + 1] = bytes([value])
            case 1:
                raw[at : at + 1] = bytes([(raw[at] if at < len(raw) else 0) ^ 1 << value % 8])
            case 2:
                del raw[at:]
            case 3:
                del raw[at : at + value]
            case 4:
                raw[at:at] = bytes([value])
            case 5:
                raw += raw[at : at + value]
    return bytes(raw)


def composed(choices: bytes) -> bytes:
    """An archive made by choices: which records, how they are packed, and what the headers pretend."""
    provider = atheris.FuzzedDataProvider(choices)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for _ in range(provider.ConsumeIntInRange(0, 12)):
            name = provider.PickValueInList([*INSIDE, provider.ConsumeUnicodeNoSurrogates(12), "a/constants.pkl"])
            content = provider.PickValueInList([INSIDE.get(name, b""), ORIGINALS[PLAIN], provider.ConsumeBytes(40)])
            info = zipfile.ZipInfo(name.replace("\0", "") or "x")
            info.compress_type = provider.PickValueInList([zipfile.ZIP_STORED] * 5 + [zipfile.ZIP_DEFLATED])
            archive.writestr(info, content)
            if provider.ConsumeProbability() < 0.2:
                field = provider.PickValueInList(["file_size", "compress_size", "CRC", "header_offset", "flag_bits"])
                setattr(info, field, provider.ConsumeIntInRange(0, 2**16 - 1 if field == "flag_bits" else 2**32 - 1))
    return provider.ConsumeBytes(8) + buffer.getvalue() + provider.ConsumeBytes(8)


def one(data: bytes) -> None:
    """Reads what an input makes, and a real checkpoint with damage that the input draws."""
    kind, rest = (data[0] % 6, data[1:]) if data else (FILE, b"")
    if kind in ORIGINALS:
        tried(edited(ORIGINALS[kind], rest), kind)
    elif kind in (PICKLE, STEPS):
        pickled = rest if kind == PICKLE else b"\x80\2" + b"".join(WORDS[byte % len(WORDS)] for byte in rest) + b"."
        tried(archive_of(INSIDE | {PICKLE_NAME: pickled}))
    else:
        tried(composed(rest) if kind == ARCHIVE else rest)
    draw = random.Random(data)
    drawn = draw.choice((PLAIN, LIGHTNING))
    tried(edited(ORIGINALS[drawn], draw.randbytes(4 * draw.randint(1, 3))), drawn)


def tried(raw: bytes, kind: int = FILE) -> None:
    """Reads a file. If it was edited from an original, it gives the same value or none; it leaves no trace."""
    path.write_bytes(raw)
    with watch.over(path, good):
        try:
            value = files.load(path)
        except files.Corrupt as error:
            said(str(error))
        else:
            assert kind not in ORIGINALS or described(value) == MEANT[kind]
        if kind not in ORIGINALS:
            assert described(files.load(good)) == MEANT[PLAIN]


def said(line: str) -> None:
    """What is wrong fits on a line and names the file."""
    assert line.isprintable()
    assert line.startswith(f"{path} cannot be used: ")
    assert len(line) < 1000


def planted() -> list[bytes]:
    """Files that would run code if they were unpickled in the ordinary way."""
    bare = [pickle.dumps(PLANTED, protocol) for protocol in range(6)]
    zipped, legacy = (written(PLANTED, _use_new_zipfile_serialization=new) for new in (True, False))
    nested = archive_of(INSIDE | {"archive/inner.ckpt": zipped})
    return [*bare, zipped, legacy, nested, tarred(bare[2]), legacy + ORIGINALS[PLAIN]]


def odd() -> list[bytes]:
    """Files that are something else, or more than they seem."""
    bomb = archive_of(INSIDE | {"archive/data/9": bytes(2_000_000)}, zipfile.ZIP_DEFLATED)
    legacy = written(VALUES[PLAIN], _use_new_zipfile_serialization=False)
    numbered = archive_of({"a/data.pkl": pickle.dumps(1, 2)})
    return [bomb, legacy, tarred(b"x"), b"PK\3\4", archive_of({}), numbered, ORIGINALS[PLAIN] * 2]


def seeds() -> list[bytes]:
    sparse = records(written([torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr()]))
    quantized = records(written(torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)))
    inside = [records(raw) for raw in (ORIGINALS[PLAIN], ORIGINALS[LIGHTNING])] + [sparse, quantized]
    pickles = [content for contents in inside for name, content in contents.items() if name.endswith("data.pkl")]
    pickles += [pickle.dumps(PLANTED, protocol) for protocol in (0, 2, 4)]
    pickles += [b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", b"\x80\x02]q\x00h\x00a."]
    draw = random.Random(0)
    return [
        *(bytes([FILE]) + raw for raw in [*ORIGINALS.values(), *planted(), *odd()]),
        *(bytes([kind]) + draw.randbytes(4 * edits) for kind in ORIGINALS for edits in (0, 1, 1, 1, 2, 3)),
        *(bytes([PICKLE]) + content for content in pickles),
        *(bytes([STEPS]) + draw.randbytes(size) for size in (5, 10, 20, 40)),
        *(bytes([ARCHIVE]) + draw.randbytes(size) for size in (40, 80, 160, 320)),
    ]


WORDS = [  # for mutations, and the steps of a pickle
    *(b"c" + name.replace(b" ", b"\n") + b"\n" for name in NAMES),
    *(bytes([operation]) for operation in b"]})(t\x85\x86\x87easuRRRb\x81QN\x88\x89"),
    *(b"q\0", b"q\1", b"q\2", b"h\0", b"h\1", b"h\2", b"K\0", b"K\1", b"K\3", b"J\xff\xff\xff\x7f", STORAGE, TENSOR),
    *(b"J\xff\xff\xff\xff", b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0", b"G\x7f\xf8\0\0\0\0\0\0", b"X\3\0\0\0cpu"),
    *(b"X\1\0\0\0" + b"0", b"X\x07\0\0\0storage", b"X\x10\0\0\0torch.sparse_coo", b"PK\1\2", b"PK\5\6"),
]

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # torch's opinion of a file; to show it, Python reads its own source
    inputs = seeds()
    for encoding in pkgutil.iter_modules(encodings.__path__):  # importing them later would be noticed
        with contextlib.suppress(ImportError):
            importlib.import_module(f"encodings.{encoding.name}")
    with watch.learning():
        files.load(good)
    harness.start(one, inputs, WORDS, max_len=4000)
