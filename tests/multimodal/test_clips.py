"""Clips: generated ones and video files, networks over frames, the task `classify_clips`, and what is refused."""

import pytest
import torch

from lab.errors import BadInput, BadSetting
from lab.multimodal.clips import moving, video
from lab.multimodal.clips import plots as pictures
from lab.multimodal.clips.classify_clips import ClassifyClips
from lab.multimodal.clips.clip_data import ClipData
from lab.multimodal.clips.network import ClipEncoder, NormalizeClips
from lab.multimodal.clips.video import shuffled


@pytest.fixture(scope="module")
def clips():
    return moving.load(True, 104, 0)


# ---- generated clips -------------------------------------------------------------------------------------------------


def test_a_sentence_says_the_action_of_its_label(clips):
    for caption, label in zip(clips["caption"], clips["label"], strict=True):
        words = [moving.WORDS[i] for i in caption if i]
        assert " ".join(words[3:]) == moving.ACTIONS[label]
        assert " ".join(words[1:3]) in {pair for i, pair in enumerate(moving.PAIRS) if i not in moving.UNSEEN}


@pytest.mark.parametrize(("action", "axis", "sign"), [(0, 1, -1), (1, 1, 1), (2, 0, -1), (3, 0, 1)])
def test_a_shape_moves_where_its_label_says(clips, action, axis, sign):
    chosen = clips["clip"][clips["label"] == action].float()
    changed = (chosen - chosen.median(1, keepdim=True).values).abs().sum(2)  # (N, T, H, W): where the shape is
    along = changed.sum(3 - axis)  # over the other side: (N, T, 32)
    centre = (along * torch.arange(32)).sum(2) / along.sum(2)
    assert ((centre[:, -1] - centre[:, 0]) * sign > 0).float().mean() > 0.9


def test_shuffled_frames_are_the_same_ones_in_another_order(clips):
    some = clips["clip"][:20]
    found = shuffled(some, 0)
    assert torch.equal(found, shuffled(some, 0))
    assert not torch.equal(found, some)
    assert torch.equal(found.flatten(2).long().sum(2).sort(1).values, some.flatten(2).long().sum(2).sort(1).values)


# ---- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temporal", ["mean", "lstm", "attention"])
def test_only_the_mean_does_not_see_the_order_of_frames(temporal):
    torch.manual_seed(0)
    encoder, inputs = ClipEncoder(3, 16, 4, 16, temporal), torch.rand(2, 4, 3, 16, 16)
    for norm in encoder.places.modules():
        norm.momentum = 1.0
    encoder(inputs)  # whose statistics keep the signal through eight layers at their first weights
    encoder.eval()
    found, other = (encoder.pool(encoder(each))[0] for each in (inputs, inputs.flip(1)))
    assert torch.allclose(found, other, atol=1e-5) == (temporal == "mean")
    assert found.shape == (2, 16)


def test_a_frame_says_what_is_in_it_wherever_it_is():
    torch.manual_seed(0)
    encoder = ClipEncoder(3, 128, 1, 16, "mean", width=4).eval()
    torch.nn.init.zeros_(encoder.where.weight)
    ground, shape = torch.zeros(1, 1, 3, 128, 128), torch.rand(3, 8, 8)
    frames = [ground.clone(), ground.clone()]
    for frame, corner in zip(frames, (56, 64), strict=True):  # one place of the maps apart, far from the edges
        frame[0, 0, :, corner : corner + 8, corner : corner + 8] = shape
    found, other, nothing = (encoder(frame) for frame in (*frames, ground))
    torch.testing.assert_close(found, other)
    assert not torch.allclose(found, nothing)


def test_attention_has_a_weight_for_each_frame():
    encoder = ClipEncoder(3, 16, 4, 16, "attention").eval()
    weights = encoder.pool(encoder(torch.rand(2, 4, 3, 16, 16)))[1]
    torch.testing.assert_close(weights.sum(1), torch.ones(2))


def test_every_frame_is_normalised():
    found = NormalizeClips(1, 2, [0.5], [0.25])(torch.ones(2, 3, 1, 2, 2))
    torch.testing.assert_close(found, torch.full((2, 3, 1, 2, 2), 2.0))


@pytest.mark.slow
def test_the_worst_clips_are_drawn(clips):
    worst = {"clip": clips["clip"][:2].float() / 255, "label": torch.tensor([0, 1])}
    drawing = pictures.most_wrong(worst | {"probabilities": torch.tensor([[0.1, 0.9], [0.2, 0.8]])}, ["left", "right"])
    titles = [axes.get_title(loc="left") for axes in drawing.axes]
    assert titles == ["true: left 0.10, predicted: right 0.90", "true: right 0.80"]


@pytest.mark.long
def test_actions_are_learnt_and_need_the_order_of_frames(tracked):
    import lab

    assert lab.run("classify_clips_moving", "seed=100").metrics["test/accuracy"] > 0.95
    assert lab.run("classify_clips_moving", "seed=100", "data.shuffle_frames=true").metrics["test/accuracy"] < 0.6


# ---- settings --------------------------------------------------------------------------------------------------------


def test_clips_of_a_fixed_size_take_no_other():
    with pytest.raises(BadSetting, match="frames: moving has clips of 8; leave it out"):
        ClipData(frames=4)
    with pytest.raises(BadSetting, match="name the folder with a folder of videos for each class"):
        ClipData("videos")
    with pytest.raises(BadSetting, match="no classes; use moving"):
        ClassifyClips(3, 16, 4, [], [0.5] * 3, [0.2] * 3)


# ---- video files -----------------------------------------------------------------------------------------------------


def write(path, count=12, size=(48, 32)):
    """A video whose frames become brighter."""
    av = pytest.importorskip("av")
    import numpy as np

    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(count):
            image = np.full((size[1], size[0], 3), 20 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def own(tmp_path):
    for name in ("jump", "run"):
        for i in range(6):
            write(tmp_path / name / f"{i}.mp4")
    return tmp_path


def test_frames_are_taken_from_the_first_to_the_last(tmp_path):
    write(tmp_path / "a.mp4")
    frames = video.read_frames(tmp_path / "a.mp4", 4, 16)
    assert frames.shape == (4, 3, 16, 16)
    wanted = torch.tensor([0.0, 20 * 4, 20 * 7, 20 * 11])
    torch.testing.assert_close(frames.float().mean((1, 2, 3)), wanted, atol=8, rtol=0)


def test_a_folder_of_videos_is_a_data_set(own):
    data = ClipData("videos", str(own), frames=4, size=16)
    assert data.facts()["class_names"] == ["jump", "run"]
    data.setup("fit")
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch["clip"].shape == (2, 4, 3, 16, 16)
    assert sorted(batch["label"].tolist()) == [0, 1]
    assert 0 <= float(batch["clip"].min()) <= float(batch["clip"].max()) <= 1


def test_a_csv_file_names_videos_and_their_sentences(own):
    rows = [f"{name}/{i}.mp4,somebody will {name}" for name in ("jump", "run") for i in range(6)]
    path = own / "own.csv"
    path.write_text("\n".join(["video,caption", *rows]))
    data = ClipData("videos", str(path), frames=4, size=16)
    assert data.facts()["words"] == ["", "jump", "run", "somebody", "will"]
    assert data.facts()["class_names"] == []
    data.setup("test")
    assert set(next(iter(data.test_dataloader()))) == {"clip", "caption"}


def test_folders_that_cannot_be_used_are_one_line(own):
    (own / "empty").mkdir()
    with pytest.raises(BadSetting, match=r"empty has no videos \(\.avi"):
        ClipData("videos", str(own))
    with pytest.raises(BadSetting, match="jump has 0 folders of videos"):
        ClipData("videos", str(own / "jump"))
    with pytest.raises(BadSetting, match="there is no folder or CSV file"):
        ClipData("videos", str(own / "none"))
    (own / "empty").rmdir()
    for file in list(own.glob("*/*"))[:4]:
        file.unlink()
    with pytest.raises(BadSetting, match="8 videos; 10 are needed"):
        ClipData("videos", str(own))


def test_nothing_in_a_folder_is_left_out_without_a_word(own):
    (own / "run" / "Thumbs.db").touch()
    ClipData("videos", str(own))
    for name, message in (
        ("9.mp4", r"/9\.mp4 is in no folder of a class"),
        ("run/notes.txt", r"run/notes\.txt is no video"),
        ("run/part/9.mp4", "run/part is no video"),
    ):
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).touch()
        with pytest.raises(BadSetting, match=message):
            ClipData("videos", str(own))
        (own / name).unlink()


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_a_file_that_is_no_video_is_named(own, content):
    file = own / "run" / "3.mp4"
    file.write_bytes(content)
    data = ClipData("videos", str(own), frames=4, size=16)
    with pytest.raises(BadInput, match=r"run/3\.mp4 cannot be read as a video"):
        [data.load_tables(test) for test in (False, True)]


def test_a_file_that_is_cut_off_is_named(own):
    file = own / "run" / "3.mp4"
    file.write_bytes(file.read_bytes()[:300])
    data = ClipData("videos", str(own), frames=4, size=16)
    with pytest.raises(BadInput, match=r"run/3\.mp4 cannot be read as a video"):
        [data.load_tables(test) for test in (False, True)]


def test_a_video_that_is_too_short_is_named(own):
    write(own / "run" / "3.mp4", count=3)
    data = ClipData("videos", str(own), frames=4, size=16)
    with pytest.raises(BadInput, match=r"run/3\.mp4 has 3 frames, and 4 are wanted; .* set data.frames to 3"):
        [data.load_tables(test) for test in (False, True)]
