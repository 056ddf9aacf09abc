"""Sets of files, read from small ones in the real formats, through torchvision's own download and its checksums."""

import csv
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision.datasets.voc import DATASET_YEAR_DICT

from lab.data import root
from lab.errors import BadInput, BadSetting, LabError
from lab.vision.data.datasets import image_datasets
from lab.vision.data.image_data import ImageData
from lab.vision.data.real import downloads, folder, keypoints

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


class Server:
    """Stands for the machines the sets are downloaded from."""

    def __init__(self, folder, port):
        self.folder, self.address = folder, f"http://127.0.0.1:{port}/"

    def put(self, name, content):
        """Offers a file; returns its address and its checksum."""
        (self.folder / name).write_bytes(content)
        return self.address + name, hashlib.md5(content).hexdigest()


@pytest.fixture
def server(tmp_path, monkeypatch):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            """Says nothing."""

    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "server"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as listening:
        Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield Server(folder, listening.server_port)
        listening.shutdown()


def idx(values):
    """An array as MNIST's files hold it."""
    return struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def packed(files, mode="w:gz"):
    """A tar archive of files by name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def encoded(pixels, form="PNG"):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form)
    return content.getvalue()


def bytes_of(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def fetched(name, **settings):
    data = ImageData(name, **settings)
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    return data.train_val_table(), data.tables["test"]


def test_mnist(server, monkeypatch, own_folder):
    arrays = {
        "train-images-idx3": bytes_of(20, 28, 28), "train-labels-idx1": np.arange(20, dtype=np.uint8) % 10,
        "t10k-images-idx3": bytes_of(5, 28, 28), "t10k-labels-idx1": np.arange(5, dtype=np.uint8),
    }  # fmt: skip
    files = {f"{name}-ubyte.gz": gzip.compress(idx(array)) for name, array in arrays.items()}
    resources = [(name, server.put(name, content)[1]) for name, content in files.items()]
    monkeypatch.setattr(datasets.MNIST, "mirrors", [server.address])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    train, test = fetched("mnist")
    assert torch.equal(train["image"], torch.from_numpy(arrays["train-images-idx3"]).unsqueeze(1))
    assert train["label"].tolist() == [i % 10 for i in range(20)]
    assert torch.equal(test["image"], torch.from_numpy(arrays["t10k-images-idx3"]).unsqueeze(1))
    assert not list((own_folder / "mnist").rglob("*.gz"))  # what was unpacked is not kept twice


def test_a_label_that_no_class_has_is_named(monkeypatch, own_folder):
    raw = own_folder / "mnist" / "MNIST" / "raw"
    for part in ("train", "t10k"):
        put(raw / f"{part}-images-idx3-ubyte", idx(bytes_of(3, 28, 28)))
        put(raw / f"{part}-labels-idx1-ubyte", idx(np.array([1, 77, 2], dtype=np.uint8)))
    with pytest.raises(BadInput, match=r"^mnist has the label 77, but its 10 classes are 0 to 9$"):
        fetched("mnist")


def test_a_file_with_another_checksum_is_refused_and_nothing_is_left_that_looks_whole(server, monkeypatch, own_folder):
    server.put("train-images-idx3-ubyte.gz", gzip.compress(b"something else"))
    monkeypatch.setattr(datasets.MNIST, "mirrors", [server.address])
    with pytest.raises(LabError) as error:
        fetched("mnist")
    assert "mnist is not in " in str(error.value)
    assert "corrupted" in str(error.value)
    assert str(error.value).endswith("; with an internet connection run: lab data fetch mnist")
    assert "\n" not in str(error.value)
    assert not (own_folder / "mnist").exists()


def test_emnist_letters_are_upright_and_those_without_a_label_are_dropped(server, monkeypatch):
    upright = bytes_of(6, 28, 28)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for part, labels in (("train", [1, 26, 0, 2, 255, 3]), ("test", [5, 0, 4, 3, 2, 1])):
            stem = f"gzip/emnist-letters-{part}"
            archive.writestr(f"{stem}-images-idx3-ubyte.gz", gzip.compress(idx(upright.transpose(0, 2, 1).copy())))
            archive.writestr(f"{stem}-labels-idx1-ubyte.gz", gzip.compress(idx(np.array(labels, dtype=np.uint8))))
    url, md5 = server.put("gzip.zip", content.getvalue())
    monkeypatch.setattr(datasets.EMNIST, "url", url)
    monkeypatch.setattr(datasets.EMNIST, "md5", md5)
    train, test = fetched("emnist")
    assert train["label"].tolist() == [0, 25, 1, 2]
    assert torch.equal(train["image"].squeeze(1), torch.from_numpy(upright[[0, 1, 3, 5]]))
    assert test["label"].tolist() == [4, 3, 2, 1, 0]


def test_cifar100(server, monkeypatch, own_folder):
    pixels = {"train": bytes_of(12, 3, 32, 32), "test": bytes_of(4, 3, 32, 32)}
    entries = {
        part: pickle.dumps({"data": rows.reshape(len(rows), -1), "fine_labels": list(range(len(rows)))})
        for part, rows in pixels.items()
    } | {"meta": pickle.dumps({"fine_label_names": [f"name{i}" for i in range(100)]})}
    sums = {part: hashlib.md5(content).hexdigest() for part, content in entries.items()}
    url, md5 = server.put(
        "cifar-100-python.tar.gz",
        packed({f"cifar-100-python/{part}": content for part, content in entries.items()}),
    )
    for name, value in {
        "url": url, "tgz_md5": md5, "train_list": [["train", sums["train"]]], "test_list": [["test", sums["test"]]],
        "meta": {"filename": "meta", "key": "fine_label_names", "md5": sums["meta"]},
    }.items():  # fmt: skip
        monkeypatch.setattr(datasets.CIFAR100, name, value)
    train, test = fetched("cifar100")
    assert torch.equal(train["image"], torch.from_numpy(pixels["train"]))
    assert train["label"].tolist() == list(range(12))
    assert torch.equal(test["image"], torch.from_numpy(pixels["test"]))

    (own_folder / "cifar100" / "cifar-100-python" / "test").write_bytes(b"broken")
    with pytest.raises(LabError, match=r"cifar100 is damaged \(.*\); remove it, then: lab data fetch cifar100$"):
        downloads.read("cifar100", False, 32)


@pytest.fixture
def pets(server, monkeypatch):
    """A download with 10 pictures of different shapes, of 3 breeds."""
    files, lists = {}, {"trainval": [], "test": []}
    for i in range(10):
        name, part = f"{['Abyssinian', 'beagle', 'Bengal'][i % 3]}_{i}", "test" if i > 7 else "trainval"
        height, width = 40 + i, 60 - i
        picture = np.zeros((height, width, 3), np.uint8)
        trimap = np.full((height, width), 2, np.uint8)
        picture[:, : width // 2], trimap[:, : width // 2] = (250, 0, 0), 1
        trimap[:, width // 2] = 3
        files[f"images/{name}.jpg"] = encoded(picture, "JPEG")
        files[f"annotations/trimaps/{name}.png"] = encoded(trimap)
        lists[part].append(f"{name} {[1, 5, 6][i % 3]} 1 1\n")
    files |= {f"annotations/{part}.txt": "".join(lines).encode() for part, lines in lists.items()}
    archives = [
        server.put(
            f"{top}.tar.gz",
            packed({name: content for name, content in files.items() if name.startswith(top)}),
        )
        for top in ("images", "annotations")
    ]
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", tuple(archives))


def test_pets_are_squeezed_and_their_outline_belongs_to_nobody(pets):
    train, test = fetched("pet", size=32)
    assert (len(train), len(test)) == (8, 2)
    assert train["image"].shape == (8, 3, 32, 32)
    assert train["label"].tolist() == [0, 4, 5, 0, 4, 5, 0, 4]
    assert (train["mask"][:, :, :14] == 1).all()
    assert (train["mask"][:, :, 19:] == 0).all()
    assert set(train["mask"].unique().tolist()) <= {0, 1, 255}
    assert train["image"][:, 0, :, :12].float().mean() > 230
    assert train["image"][:, :, :, 20:].float().mean() < 10


def test_voc(server, monkeypatch):
    files = {}
    for i in range(6):
        mask = Image.fromarray(np.array([[0, 255], [1 + i, 20]], np.uint8).repeat(8, 0).repeat(8, 1), mode="P")
        mask.putpalette([3 * value % 256 for value in range(768)])
        content = io.BytesIO()
        mask.save(content, "PNG")
        files[f"VOCdevkit/VOC2012/SegmentationClass/{i}.png"] = content.getvalue()
        files[f"VOCdevkit/VOC2012/JPEGImages/{i}.jpg"] = encoded(bytes_of(16, 16, 3), "JPEG")
    for part, names in {"train": "0 1 2 3", "val": "4 5"}.items():
        listing = "".join(f"{name}\n" for name in names.split())
        files[f"VOCdevkit/VOC2012/ImageSets/Segmentation/{part}.txt"] = listing.encode()
    url, md5 = server.put("voc.tar", packed(files, "w"))
    monkeypatch.setitem(
        DATASET_YEAR_DICT, "2012", {**DATASET_YEAR_DICT["2012"], "url": url, "md5": md5, "filename": "voc.tar"}
    )
    train, test = fetched("voc", size=16)
    assert (len(train), len(test)) == (4, 2)
    assert train["mask"][2, [0, 0, 12, 12], [0, 12, 0, 12]].tolist() == [0, 255, 3, 20]


def table(path, rows, columns=(*keypoints.COLUMNS, "Image")):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def test_the_key_points_csv_with_gaps(own_folder):
    pictures = bytes_of(10, 96 * 96)
    rows = [[*(f"{i + column / 4}" for column in range(30)), " ".join(map(str, pictures[i]))] for i in range(10)]
    rows[3][4] = rows[3][5] = ""
    table(own_folder / "keypoints" / "training.csv", rows)
    found = keypoints.load(own_folder / "keypoints" / "training.csv")
    assert torch.equal(found["image"].flatten(1), torch.from_numpy(pictures))
    assert found["points"][2, 1].tolist() == [2.5, 2.75]
    assert found["points"][3].isnan().nonzero().tolist() == [[2, 0], [2, 1]]
    train, test = fetched("keypoints")
    assert (len(train), len(test)) == (8, 2)
    elsewhere = ImageData("keypoints", path=str(own_folder / "keypoints" / "training.csv"))
    assert torch.equal(elsewhere.train_val_table()["image"], train["image"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["1"] * 30 + ["1 2 3"], ":2: the image has 3 grey values; expected 96 x 96 = 9216"),
        (["1"] * 30 + ["1 300"], ":2: "),
        (["x"] * 30 + ["0 " * 9216], ":2: column left_eye_center_x: expected a number, found 'x'"),
        (["inf"] * 30 + ["0 " * 9216], ":2: column left_eye_center_x: inf lies far outside an image of 96 x 96 pixels"),
        (["nan"] * 30 + ["0 " * 9216], ":2: column left_eye_center_x: nan lies far outside"),
        (["1"] * 29 + ["-90"] + ["0 " * 9216], f":2: column {keypoints.COLUMNS[-1]}: -90 lies far outside"),
        (["1"] * 3, ":2: not one value for each of the 31 columns"),
        (["1"] * 32, ":2: not one value for each of the 31 columns"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, row, message):
    table(tmp_path / "points.csv", [row])
    with pytest.raises(BadInput) as error:
        keypoints.load(tmp_path / "points.csv")
    assert f"points.csv{message}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["Größe,Image\n".encode("latin-1"), "Image\n".encode("utf-16")])
def test_another_encoding_is_one_line(tmp_path, content):
    (tmp_path / "points.csv").write_bytes(content)
    with pytest.raises(BadInput, match=r"points\.csv") as error:
        keypoints.load(tmp_path / "points.csv")
    assert "utf-8" in str(error.value).lower()
    assert "\n" not in str(error.value)


def test_a_column_that_is_there_twice_is_named(tmp_path):
    table(tmp_path / "points.csv", [], [*keypoints.COLUMNS, "Image", keypoints.COLUMNS[3]])
    with pytest.raises(BadInput, match=r"points.csv:1: two columns are called 'right_eye_center_y'"):
        keypoints.load(tmp_path / "points.csv")


def test_a_missing_column_is_named(tmp_path):
    table(tmp_path / "points.csv", [], [*keypoints.COLUMNS[1:], "Image"])
    with pytest.raises(BadInput, match=r"points.csv:1: no column 'left_eye_center_x'"):
        keypoints.load(tmp_path / "points.csv")
    with pytest.raises(BadSetting, match=r"points.csv:1: no column 'left_eye_center_x'"):
        ImageData("keypoints", path=str(tmp_path / "points.csv"))


@pytest.fixture
def own(tmp_path):
    """A folder with 10 pictures and masks of three classes."""
    for i in range(10):
        mask = np.zeros((20, 30), np.uint8)
        mask[:10], mask[10:15, :15], mask[0, 0] = 1, 2, 255
        put(tmp_path / "own" / "images" / f"{i}.jpg", encoded(bytes_of(20, 30, 3), "JPEG"))
        put(tmp_path / "own" / "masks" / f"{i}.png", encoded(mask))
    (tmp_path / "own" / "classes.txt").write_text("sky\nsea\nsand\n")
    return tmp_path / "own"


def load(folder):
    data = ImageData("folder", path=str(folder), size=20)
    return data, data.train_val_table()


def test_a_folder_of_images_with_masks(own):
    data, train = load(own)
    assert data.facts()["mask_names"] == ["sky", "sea", "sand"]
    assert len(train) == 8
    assert train["image"].shape == (8, 3, 20, 20)
    assert train["mask"][0, [0, 5, 12, 12], [0, 5, 2, 18]].tolist() == [255, 1, 2, 0]
    before = train["image"].clone()
    put(own / "images" / "0.jpg", encoded(bytes_of(20, 30, 3), "JPEG"))  # another file is no longer the cached one
    assert not torch.equal(load(own)[1]["image"], before)
    (own / "classes.txt").unlink()
    for i in range(10):  # 255 may stand for an object then, or for a margin
        put(own / "masks" / f"{i}.png", encoded(np.repeat([[0], [1], [2], [3]], 5, 0).repeat(30, 1).astype(np.uint8)))
    data, train = load(own)
    assert data.facts()["mask_names"] == ["background", "object"]
    assert train["mask"].unique().tolist() == [0, 1]


def cut_short(folder):
    whole = (folder / "images" / "3.jpg").read_bytes()
    (folder / "images" / "3.jpg").write_bytes(whole[: len(whole) // 2])


def other_size(folder):
    put(folder / "masks" / "3.png", encoded(np.zeros((5, 6), np.uint8)))


def jpeg_mask(own):
    (own / "masks" / "3.png").unlink()
    put(own / "masks" / "3.jpg", encoded(np.zeros((20, 30), np.uint8), "JPEG"))


def wide_mask(own):
    Image.fromarray(np.full((20, 30), 300, np.uint16)).save(own / "masks" / "3.png")


def film(own):
    (own / "images" / "3.jpg").unlink()
    frame = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    frame.save(own / "images" / "3.tif", save_all=True, append_images=[frame])


def out_of_range(folder):
    put(folder / "masks" / "3.png", encoded(np.full((20, 30), 7, np.uint8)))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (cut_short, "images/3.jpg cannot be read as an image ("),
        (
            lambda folder: (folder / "images" / "3.jpg").write_text("no image"),
            "images/3.jpg cannot be read as an image (",
        ),
        (lambda folder: put(folder / "images" / "3.jpg", b""), "images/3.jpg cannot be read as an image ("),
        (other_size, "masks/3.png has 6 x 5 pixels, but its image 3.jpg has 30 x 20"),
        (out_of_range, "masks/3.png holds the value 7, but classes.txt names 3 classes, 0 to 2; 255 is for"),
        (
            lambda folder: put(folder / "masks" / "3.png", encoded(bytes_of(20, 30, 3))),
            "masks/3.png is in colour (RGB); a mask is grey or has a palette",
        ),
        (lambda folder: (folder / "masks" / "3.png").unlink(), "masks/3.png is missing"),
    ],
)
def test_a_bad_file_is_named_in_one_line(own, harm, message):
    harm(own)
    with pytest.raises(BadInput) as error:
        load(own)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_16_bits_are_scaled_and_32_are_refused(own):
    ramp = np.linspace(0, 65535, 600).round().astype(np.uint16).reshape(20, 30)
    (own / "images" / "3.jpg").unlink()
    Image.fromarray(ramp).save(own / "images" / "3.png")
    found = folder.load(own, 20)["image"][3].float()
    Image.fromarray((ramp / 257).round().astype(np.uint8)).save(own / "images" / "3.png")
    torch.testing.assert_close(found, folder.load(own, 20)["image"][3].float())
    assert found.unique().numel() > 100
    (own / "images" / "3.png").unlink()
    Image.fromarray(ramp.astype(np.int32)).save(own / "images" / "3.tif")
    with pytest.raises(BadInput, match=r"images/3.tif has 32 bits for each pixel \(I\)"):
        folder.load(own, 20)


def test_a_picture_is_turned_as_its_exif_says(own):
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(picture).save(own / "images" / "3.jpg", exif=exif, quality=100)
    found = folder.load(own, 20)["image"][3].float()
    assert found[:, :8].mean() < 5
    assert found[:, 12:].mean() > 250
    exif[0x0112] = 6  # on its side: the mask has to be as the picture is seen
    Image.fromarray(picture).save(own / "images" / "3.jpg", exif=exif)
    with pytest.raises(BadInput, match=r"masks/3.png has 30 x 20 pixels, but its image 3.jpg has 20 x 30"):
        folder.load(own, 20)


def test_masks_of_0_and_255_are_not_read_as_nothing_to_learn(own):
    (own / "classes.txt").write_text("background\nobject\n")
    for i in range(10):
        put(own / "masks" / f"{i}.png", encoded(np.repeat([[0], [255]], 10, 0).repeat(30, 1).astype(np.uint8)))
    for read in (lambda: folder.load(own, 20), lambda: ImageData("folder", path=str(own))):
        with pytest.raises(BadInput, match="hold 0 and 255 alone, and 255 is for pixels without a class; write 1 for"):
            read()
    (own / "classes.txt").unlink()
    assert folder.load(own, 20)["mask"].unique().tolist() == [0, 1]


def test_all_masks_are_looked_at_where_some_look_wrong(own, monkeypatch):
    monkeypatch.setattr(folder, "LOOKED_AT", 3)
    (own / "classes.txt").write_text("background\nobject\n")
    halves = np.repeat([[0], [255]], 10, 0).repeat(30, 1).astype(np.uint8)
    for i in range(10):
        put(own / "masks" / f"{i}.png", encoded(halves // (255 if i == 1 else 1)))
    folder.check_masks(own)
    put(own / "masks" / "0.png", encoded(np.full((20, 30), 7, np.uint8)))
    with pytest.raises(BadSetting, match=r"masks/0\.png holds the value 7, but classes\.txt names 2 classes"):
        ImageData("folder", path=str(own))


def test_subfolders_and_tiff_are_read_and_what_desktops_leave_is_not(own):
    for kind in ("images", "masks"):
        (own / kind / "more").mkdir()
        (own / kind / ".DS_Store").write_bytes(b"x")
        (own / kind / "Thumbs.db").write_bytes(b"x")
    Image.fromarray(np.full((20, 30, 3), 9, np.uint8)).save(own / "images" / "more" / "3.tif")
    put(own / "masks" / "more" / "3.png", encoded(np.full((20, 30), 2, np.uint8)))
    found = folder.load(own, 20)
    assert len(found) == 11
    assert (found["image"][10] == 9).all()
    assert (found["mask"][10] == 2).all()
    assert (found["mask"][3] != 2).any()


def fractions(own):
    (own / "masks" / "3.png").unlink()
    Image.fromarray(np.full((20, 30), 0.5, np.float32)).save(own / "masks" / "3.tif")


def blurred_tiff(own):
    (own / "masks" / "3.png").unlink()
    Image.fromarray(np.ones((20, 30), np.uint8)).save(own / "masks" / "3.tif", compression="jpeg")


def soft_edges(own):
    (own / "classes.txt").unlink()
    values = np.repeat([[0], [90], [180], [255]], 5, 0).repeat(30, 1).astype(np.uint8)
    put(own / "masks" / "3.png", encoded(values))


def one_value(own):
    for i in range(10):
        put(own / "masks" / f"{i}.png", encoded(np.ones((20, 30), np.uint8)))


def test_a_mask_is_turned_with_its_picture(own):
    values = np.zeros((20, 30), np.uint8)
    values[:4] = 2
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(values).save(own / "masks" / "3.png", exif=exif)
    Image.fromarray(values.repeat(3, 1).reshape(20, 30, 3) * 100).save(own / "images" / "3.jpg", exif=exif, quality=100)
    found = folder.load(own, 20)
    assert (found["mask"][3][:15] == 0).all()
    assert (found["mask"][3][16:] == 2).all()
    assert found["image"][3].float()[:, 17:].mean() > 150


def test_pixels_without_a_class_are_said_where_they_may_be_one(own):
    values = np.repeat([[0], [255]], 10, 0).repeat(30, 1).astype(np.uint8)
    for i in range(6):
        put(own / "masks" / f"{i}.png", encoded(values))
    put(own / "masks" / "9.png", encoded((values > 0).astype(np.uint8)))
    with pytest.warns(UserWarning, match=r"3\d% of the pixels in .*masks are 255.*255 is for pixels without a class"):
        folder.load(own, 20)


def test_hidden_folders_are_passed_over_and_links_are_followed(own, tmp_path):
    count = len(folder.load(own, 20))
    for name in (".git", "__MACOSX"):
        put(own / "images" / name / "a.png", b"x")
    for kind, file in (("images", "3.jpg"), ("masks", "3.png")):
        (tmp_path / kind).mkdir()
        (own / kind / file).rename(tmp_path / kind / file)
        (own / kind / "linked").symlink_to(tmp_path / kind)
    assert len(folder.load(own, 20)) == count
    (own / "images").rename(tmp_path / "elsewhere")
    (own / "images").symlink_to(tmp_path / "elsewhere")
    assert len(folder.load(own, 20)) == count


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda own: put(own / "images" / "notes.txt", b""), "images/notes.txt is not a readable image"),
        (lambda own: put(own / "images" / "x.heic", b""), "images/x.heic is not a readable image"),
        (lambda own: put(own / "masks" / "x.png", b""), "masks/x.png has no image, like 1 of 11 masks"),
        (
            lambda own: put(own / "images" / "3.png", b""),
            "images/3.png and 3.jpg have the same name except for the extension",
        ),
        (
            lambda own: put(own / "masks" / "3.bmp", b""),
            "masks/3.png and 3.bmp have the same name except for the extension",
        ),
        (jpeg_mask, "masks/3.jpg is a JPEG file, whose compression changes mask values; save it as PNG"),
        (wide_mask, "masks/3.png holds values from 300 to 300; a mask has whole numbers from 0 to 255"),
        (film, "images/3.tif holds 2 images; save each as a file of its own"),
        (lambda own: (own / "classes.txt").write_text("sky\n\nsea\nsand\n"), "classes.txt:2 is empty"),
        (lambda own: (own / "classes.txt").write_text("sky\nsea\nsky\n"), "classes.txt:3 repeats 'sky', the name of"),
        (
            lambda own: (own / "classes.txt").write_bytes(b"sky\nsea\xff\n"),
            "classes.txt:2: byte 0xff is not UTF-8; save it as UTF-8",
        ),
        (lambda own: (own / "classes.txt").write_text("# names\nsky\nsea\nsand\n"), "classes.txt:1 is a comment"),
        (lambda own: (own / "classes.txt").write_text("1 sky\n2 sea\n3 sand"), "classes.txt:1 says 1, but a name is"),
        (
            lambda own: (own / "classes.txt").write_text("0: sky\n2: sand\n1: sea"),
            "classes.txt:2 says 2, but a name is",
        ),
        (lambda own: (own / "classes.txt").rename(own / "Classes.TXT"), "classes.txt; rename Classes.TXT"),
        (lambda own: (own / "classes.txt").rename(own / "classes.csv"), "classes.txt; did you mean 'classes.csv'?"),
        (lambda own: (own / "classes.txt").unlink() or (own / "classes.txt").mkdir(), "classes.txt is a folder"),
        (lambda own: (own / "images").rename(own / "Images"), "images; did you mean 'Images'?"),
        (
            lambda own: (own / "images" / "x.png").symlink_to("gone.png"),
            "x.png is a link to gone.png, where nothing",
        ),
        (lambda own: (own / "images" / "x").symlink_to(own), "images/x is a link to a folder that it lies in"),
        (fractions, "masks/3.tif holds fractions, such as 0.5; a mask has whole numbers from 0 to 255"),
        (blurred_tiff, "masks/3.tif is a TIFF file compressed as jpeg, whose compression changes mask values"),
        (soft_edges, "holds 255 and 2 other values above 0: soft edges, or a margin?"),
        (one_value, "every pixel of all masks in "),
    ],
)
def test_nothing_is_guessed_or_left_out(own, harm, message):
    harm(own)
    with pytest.raises(BadInput) as error:
        load(own)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_a_name(own):
    (own / "classes.txt").write_text("\ufeffsky\r\nsea\u2028coast\r\nsand\r\n\r\n", encoding="utf-8")
    assert folder.mask_classes(own) == ("sky", "sea\u2028coast", "sand"), "lines as editors count them"


def test_an_empty_folder_and_an_empty_list_of_classes_are_refused(own):
    (own / "classes.txt").write_text("\n")
    with pytest.raises(BadSetting, match=r"classes.txt names 0 classes"):
        load(own)
    for file in (own / "images").iterdir():
        file.unlink()
    with pytest.raises(BadSetting, match="has no images"):
        load(own)


def test_images_that_do_not_fit_are_refused_before_one_is_read(own):
    with pytest.raises(BadSetting, match=r"^size: 10 images of 1000000 x 1000000 need 40000.0 GB"):
        ImageData("folder", path=str(own), size=1_000_000).train_val_table()


@pytest.mark.parametrize("name", [each.name for each in image_datasets() if each.path is not None])
def test_a_set_that_is_missing_names_the_command(name):
    with pytest.raises(BadInput, match=f"lab data fetch {name}") as error:
        ImageData(name).setup("fit")
    assert "\n" not in str(error.value)
    assert not Path(root()).exists()
