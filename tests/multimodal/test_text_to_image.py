"""The task `text_to_image`: what captions change, the judge and its shares, images on request, and what it refuses."""

from types import SimpleNamespace

import pytest
import torch

from lab.errors import BadInput, BadSetting
from lab.multimodal.text_to_image import plots as draw
from lab.multimodal.text_to_image import text_to_image
from lab.multimodal.text_to_image.judge import Judge, judge
from lab.multimodal.text_to_image.text_to_image import TextToImage
from lab.vision.data.image_data import ImageData

WORDS = ["", "a", "red", "blue", "ring", "star"]
PAIRS = ["red ring", "red star", "blue ring", "blue star"]
FACTS = {"channels": 3, "size": 8, "words": WORDS, "caption_length": 4, "pairs": PAIRS, "unseen": [3]}
CAPTIONS = torch.tensor([[1, 2, 4, 0], [1, 2, 5, 0], [1, 3, 4, 0], [1, 3, 5, 0]])  # of the pairs
SMALL = {"widths": [16], "text_width": 16, "noise_steps": 100, "sampling_steps": 8, "ema_decay": 0.9}


def module(**settings):
    torch.manual_seed(0)
    return TextToImage(**FACTS, **{**SMALL, **settings})


# ---- captions --------------------------------------------------------------------------------------------------------


def test_a_colour_that_was_asked_for_is_made():
    """Red images with the word red and blue ones with the word blue; half are right where captions say nothing."""
    made = module(prediction="velocity", guidance=2.0)
    optimizer = torch.optim.Adam(made.network.parameters(), 5e-3)
    for _ in range(150):
        pairs = torch.randint(4, (32,))
        images = torch.full((32, 3, 8, 8), 0.2)
        images[torch.arange(32), torch.where(pairs < 2, 0, 2)] = 0.9
        optimizer.zero_grad()
        made.training_loss({"image": images, "caption": CAPTIONS[pairs]}, 0.0).backward()
        optimizer.step()
        made.on_train_batch_end()
    found = made.eval().denoised(CAPTIONS.repeat(5, 1), torch.Generator().manual_seed(0)).mean((2, 3))
    red = (found[:, 0] - found[:, 2]).view(5, 4)
    assert red[:, :2].min() > 0.4, "0.7 in the images"
    assert red[:, 2:].max() < -0.4


def test_padding_of_a_caption_does_not_matter_and_words_do():
    made = module().eval()
    context = made.network.context
    one, longer = context(CAPTIONS[:, :3]), context(CAPTIONS)
    torch.testing.assert_close(one, longer)
    assert (one[0] - one[1]).abs().max() > 1e-3


# ---- the judge -------------------------------------------------------------------------------------------------------


class Answer:
    """A classifier that gives these logits, whatever it sees."""

    def __init__(self, logits):
        self.logits = torch.tensor(logits)

    def __call__(self, images):
        return images

    def last(self, images):
        return self.logits[: len(images)]

    def to(self, _device):
        return self


RED_STAR, BLUE_RING = [3.0, 0.0, 0.0, 1.0], [0.0, 1.0, 5.0, 2.0]


def test_the_judge_reads_colour_and_shape_by_themselves():
    reader, images = Judge(Answer([RED_STAR, BLUE_RING]), PAIRS), torch.zeros(2, 3, 8, 8)
    assert (reader.colors, reader.shapes) == (["red", "blue"], ["ring", "star"])
    assert reader.read(images).tolist() == [[0, 1], [1, 0]]
    assert reader.right(images, torch.tensor([1, 3])).tolist() == [[True, True], [True, False]]


def test_shares_are_those_of_colour_shape_both_and_unseen_pairs(monkeypatch):
    reader = Judge(Answer([RED_STAR, BLUE_RING, RED_STAR, BLUE_RING]), PAIRS)
    monkeypatch.setattr(text_to_image, "judge", lambda _: reader)
    made = module()
    made._trainer = SimpleNamespace(datamodule=None, global_rank=0)
    made.on_test_start()
    batch = {"image": torch.rand(4, 3, 8, 8), "caption": CAPTIONS, "pair": torch.tensor([1, 3, 2, 3])}
    made.test_step(batch, 0)
    found = {name: float(value) for name, value in made.compute_metrics("test").items()}
    expected = {"color_accuracy": 0.75, "shape_accuracy": 0.25, "conditional_accuracy": 0.25, "unseen_accuracy": 0.0}
    assert found == {**expected, **{f"reference/{name}": value for name, value in expected.items()}}
    assert made.compute_metrics("val") == {}


@pytest.mark.long
def test_a_judge_reads_pairs_that_it_never_saw():
    data = ImageData("scenes16")
    reader, test = judge(data), data.dataset.read("test")
    right = reader.right(test["image"].float() / 255, test["pair"]).float()
    unseen = torch.isin(test["pair"], torch.tensor(data.facts()["unseen"]))
    assert right.mean(0).min() > 0.9, "0.97 where it was measured"
    assert right[unseen].mean(0).min() > 0.85


# ---- images on request, plots and refusals ---------------------------------------------------------------------------


def test_images_are_made_of_a_caption_and_a_seed():
    made = module()
    made.train()
    found = made.generate("a red ring", count=2)
    assert made.training
    assert found.shape == (2, 3, 8, 8)
    assert torch.equal(found, made.generate("a red ring", count=2))
    assert not torch.equal(found, made.generate("a red ring", count=2, seed=1))


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ("a rad ring", "no caption had the word 'rad'; did you mean 'red'"),
        ("", "expected a caption of 1 to 4 words, found 0"),
        ("a red ring a star", "expected a caption of 1 to 4 words, found 5"),
    ],
)
def test_a_caption_that_cannot_be_read_is_one_line(caption, message):
    with pytest.raises(BadInput) as error:
        module().generate(caption)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_each_pair_has_its_place_and_unseen_ones_a_frame():
    images = torch.zeros(4, 3, 8, 8)
    images[1, 0] = 1.0
    drawing = draw.pairs(images, PAIRS, [3])
    (axes,) = drawing.axes
    sheet = axes.images[0].get_array()
    assert sheet[5, 15].tolist() == [1.0, 0.0, 0.0], "the first row, the second column"
    (frame,) = axes.patches
    assert frame.get_xy() == (9.5, 9.5)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["red", "blue"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"words": []}, "words: this dataset has no captions of coloured shapes; use scenes16"),
        ({"pairs": []}, "words: this dataset has no captions of coloured shapes; use scenes16"),
        ({"text_width": 10}, "text_width: expected a multiple of 4, found 10"),
        ({"widths": [16, 16, 16, 16, 16]}, "widths: 5 widths and a patch of 1 need an image size divisible by 16"),
    ],
)
def test_bad_settings_are_one_line(settings, message):
    with pytest.raises(BadSetting) as error:
        TextToImage(**{**FACTS, **SMALL, **settings})
    assert str(error.value).startswith(message)
