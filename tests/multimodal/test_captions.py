"""The tasks `caption` and `caption_clips`: data, decoders, what is measured and drawn, and what is refused."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from lab.errors import BadInput, BadSetting, LabError
from lab.multimodal.captions import plots as pictures
from lab.multimodal.captions.caption import Caption, names_any, to_captions, to_tokens
from lab.multimodal.captions.pointing import pointing_hits
from lab.multimodal.captions.words import WordDetector, recolored
from lab.multimodal.clip.network import captions_to_text
from lab.multimodal.clips import moving
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.generated import scenes
from lab.vision.data.image_data import ImageData

FACTS = {"channels": 3, "mean": [0.5] * 3, "std": [0.2] * 3}
SCENES = FACTS | {"size": 48, "words": list(scenes.WORDS), "caption_length": scenes.CAPTION_LENGTH}
SCENES |= {"pairs": list(scenes.PAIRS), "unseen": list(scenes.UNSEEN)}
CLIPS = FACTS | {"size": 32, "frames": 8, "words": list(moving.WORDS), "caption_length": moving.CAPTION_LENGTH}
CLIPS |= {"pairs": list(moving.PAIRS), "unseen": list(moving.UNSEEN)}


def module(facts=SCENES, **settings):
    torch.manual_seed(0)
    return Caption(**facts, hidden=16, **settings).eval()


def places(words, *captions):
    rows = [torch.tensor([words.index(word) for word in caption.split()]) for caption in captions]
    return torch.stack([F.pad(row, (0, 11 - len(row))) for row in rows])


@pytest.fixture(scope="module")
def images():
    return scenes.load_48(True, 52, 0)


def test_a_caption_names_the_large_shape_first_and_the_boxes_in_its_order(images):
    for caption, boxes in zip(images["caption"], images["boxes"], strict=True):
        named = [scenes.CLASSES.index(scenes.WORDS[i]) for i in caption if scenes.WORDS[i] in scenes.CLASSES]
        shown = boxes[~boxes[:, 0].isnan()]
        assert named == shown[:, 0].long().tolist()
        assert 1 <= len(named) <= 2


def test_pairs_of_the_test_are_not_in_the_training(images):
    pairs = torch.tensor([[scenes.WORDS.index(word) for word in scenes.PAIRS[i].split()] for i in scenes.UNSEEN])
    assert not names_any(images["caption"], pairs).any()
    assert names_any(scenes.load_48(False, 104, 0)["caption"], pairs).any()


def test_tokens_become_the_captions_that_they_were_made_of(images):
    tokens = to_tokens(images["caption"])
    assert torch.equal(to_captions(tokens, images["caption"].shape[1]), images["caption"])
    assert tokens.max() < len(scenes.WORDS) + 3


def test_a_pair_is_found_only_where_its_words_are_neighbours():
    captions = places(scenes.WORDS, "a red ring above a blue star", "a red star", "a blue ring")
    pair = torch.tensor([[scenes.WORDS.index("red"), scenes.WORDS.index("ring")]])
    assert names_any(captions, pair).tolist() == [True, False, False]
    assert not names_any(captions, pair[:0]).any()


def test_attention_counts_for_words_that_name_a_box():
    captions = places(scenes.WORDS, "a red ring above a blue star", "a red star")
    boxes = torch.full((2, 3, 5), torch.nan)
    boxes[0, 0] = torch.tensor([7.0, 0, 0, 24, 24])  # top left
    boxes[0, 1] = torch.tensor([5.0, 24, 24, 48, 48])  # bottom right
    attention = torch.zeros(2, 11, 36)
    attention[0, 2, 7] = 1  # second row, second column: inside the first box
    attention[0, 6, 7] = 1  # outside the second
    nouns = torch.tensor([scenes.WORDS.index(each) for each in ("ring", "star")])
    assert pointing_hits(attention, captions, boxes, nouns, 48).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("facts", "places"), [(SCENES, 36), (CLIPS, 8)])
@pytest.mark.parametrize("network", ["lstm", "lstm_attention", "transformer"])
def test_a_decoder_without_attention_reads_one_vector(facts, places, network):
    made = module(facts, network=network)
    inputs, captions = made.example_input_array
    _, looked = made.network.decoder(captions, made.network.encode(inputs))
    assert looked.shape[2] == (1 if network == "lstm" else places)
    assert made(inputs, captions).shape == (1, made.max_length, len(made.words) + 3)


def test_what_is_right_counts_and_what_is_unseen_counts_apart(images):
    made = module(network="lstm")
    batch = dict(images[:8].columns) | {"image": images[:8]["image"].float() / 255}
    rows = made.evaluate_batch(batch)
    right = (rows["written"] == batch["caption"]).all(1).float().mean()
    values = made.compute_metrics("test")
    assert values["exact_match"] == right
    assert values["exact_match_seen"] == right
    assert "pointing" not in values
    assert made.describe(batch["image"][:2]) == captions_to_text(rows["written"][:2], made.words)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_words_is_hidden_in_training(share, images, monkeypatch):
    made, seen = module(word_dropout=share, pretrain_fraction=0.0), []
    batch = dict(images.columns) | {"image": images["image"].float() / 255}
    whole = made.network.forward
    monkeypatch.setattr(made.network, "forward", lambda inputs, words: seen.append(words) or whole(inputs, words))
    assert made.training_loss(batch, 0.0).isfinite()
    true = to_tokens(batch["caption"])[:, :-1]
    assert torch.equal(seen[0][:, 0], true[:, 0]), "the beginning is always known"
    words = true[:, 1:] != 0
    assert (seen[0][:, 1:][words] == 0).float().mean() == pytest.approx(share, abs=0.1)
    assert torch.equal(seen[0][seen[0] != 0], true[seen[0] != 0])


def test_the_encoder_learns_before_the_decoder_does(images):
    made = module(pretrain_fraction=0.5).train()
    batch = dict(images[:8].columns) | {"image": images[:8]["image"].float() / 255}
    made.training_loss(batch, 0.49).backward()
    names = {name for name, _ in made.named_parameters()}
    learnt = {name for name, each in made.named_parameters() if each.grad is not None}
    assert learnt == {name for name in names if ".places." in name or "_shown." in name}
    for detector, named in ((made.shapes_shown, scenes.CLASSES), (made.colors_shown, scenes.COLORS)):
        learnt = detector.head.weight.grad.flatten(1).abs().sum(1).nonzero().squeeze(1).tolist()
        assert {scenes.WORDS[word] for word in learnt} == set(named)
    made.zero_grad()
    made.training_loss(batch, 0.5).backward()
    learnt = {name for name, each in made.named_parameters() if each.grad is not None}
    assert learnt == {name for name in names if ".trunk." not in name and "_shown." not in name}


def test_the_encoder_may_go_on_learning_words_and_learns_captions_too(images):
    made = module(pretrain_fraction=0.5, word_loss_coef=0.25, word_dropout=0.0, dropout=0.0, recolor=False)
    batch = dict(images[:8].columns) | {"image": images[:8]["image"].float() / 255}
    both = made.training_loss(batch, 0.5)
    alone = [loss(batch["image"], batch["caption"]) for loss in (made.caption_loss, made.word_loss)]
    torch.testing.assert_close(both, alone[0] + 0.25 * alone[1])
    made.caption_loss(batch["image"], batch["caption"]).backward()
    assert all(each.grad is not None for each in made.network.encoder.places.parameters())


@pytest.mark.parametrize("facts", [SCENES, CLIPS])
@pytest.mark.parametrize("settings", [{}, {"network": "lstm"}, {"depth": 2}])
def test_an_lstm_may_begin_with_what_the_places_say(facts, settings):
    made = module(facts, initial_state=True, **settings)
    inputs, captions = made.example_input_array
    memory = made.network.encode(torch.randn(2, *inputs.shape[1:]))
    captions = torch.randint(3, 9, (1, made.max_length)).expand(2, -1)
    scores, _ = made.network.decoder(captions, memory)
    other = memory._replace(state=None)
    assert not torch.allclose(scores[:, 0], made.network.decoder(captions, other)[0][:, 0])
    steps, state = [], None
    for token in captions.split(1, 1):
        score, _, state = made.network.decoder.step(token, memory, state)
        steps.append(score)
    torch.testing.assert_close(torch.cat(steps, 1), scores)


def test_clips_without_their_order_begin_with_one_vector():
    made = module(CLIPS, initial_state=True, temporal="mean")
    assert made(*made.example_input_array).isfinite().all()


@pytest.mark.parametrize("facts", [SCENES, CLIPS])
def test_shapes_are_learnt_in_other_colours_and_colours_in_their_own(facts, monkeypatch):
    made, seen = module(facts), {}
    monkeypatch.setattr("lab.multimodal.captions.caption.recolored", lambda images: 1 - images)
    for name in ("trunk", "colors"):
        part = getattr(made.network.encoder.places, name)
        part.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0]}))
    inputs = torch.rand(2, *made.example_input_array[0].shape[1:])
    made.training_loss({made.inputs: inputs, "caption": torch.ones(2, 5, dtype=torch.int64)}, 0.0)
    torch.testing.assert_close(seen["trunk"] + seen["colors"], torch.zeros(2, 3, *inputs.shape[-2:]))
    frames = made.normalise(inputs).unflatten(0, (2, 1)).flatten(1, -4)  # (2, T, C, H, W)
    assert any(torch.equal(seen["colors"][0], frame) for frame in frames[0])


def test_all_words_are_learnt_where_none_is_known_to_be_a_colour(images):
    made = module(SCENES | {"pairs": [], "unseen": []})
    batch = dict(images[:8].columns) | {"image": images[:8]["image"].float() / 255}
    assert made.training_loss(batch, 0.0) == made.training_loss(batch, 0.0), "nothing is recoloured"
    assert made.shapes.tolist() == made.colors.tolist() == list(range(1, len(made.words)))


def test_a_share_of_a_run_needs_its_length(monkeypatch):
    made = module(schedule="constant", warmup=0.0)
    monkeypatch.setattr(type(made), "trainer", SimpleNamespace(estimated_stepping_batches=float("inf")))
    with pytest.raises(BadSetting, match="pretrain_fraction: a share of the run needs max_epochs"):
        made.on_train_start()
    made.pretrain_fraction = 0.0
    made.on_train_start()


def test_an_image_with_other_colours_has_the_same_edges():
    torch.manual_seed(0)
    images = torch.rand(64, 2, 3, 4, 5)
    made = recolored(images)
    steps = [(each[..., 1:] - each[..., :-1]).abs().sum(2) for each in (made, images)]
    torch.testing.assert_close(*steps)
    assert len({tuple(each[0, :, 0, 0].tolist()) for each in recolored(images[:1].expand(999, -1, -1, -1, -1))}) == 48
    assert recolored(images[:, 0, :1]).shape == (64, 1, 4, 5)


def test_a_word_is_shown_where_its_place_says_so_most():
    detector = WordDetector(2, 3)
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, 1, 1, 0] = 5.0
    torch.nn.init.constant_(detector.head.weight, 1.0)
    assert detector(maps).tolist() == [[3.0, 3.0, 3.0]]
    logits, captions = detector(maps)[0], torch.tensor([[2, 0]])
    expected = F.softplus(-logits[2]) + F.softplus(logits[1])
    torch.testing.assert_close(detector.loss(maps, captions, torch.tensor([1, 2])), expected)


def test_the_true_captions_are_an_exact_match(images, monkeypatch):
    made = module()
    batch = dict(images[:8].columns) | {"image": images[:8]["image"].float() / 255}
    monkeypatch.setattr(made.network.decoder, "write", lambda _: (to_tokens(batch["caption"]), None))
    made.evaluate_batch(batch)
    values = made.compute_metrics("val")
    assert values["exact_match"] == 1
    assert values["bleu"] == 1
    assert 0 <= values["pointing"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("clips", [False, True])
def test_pictures_show_words_and_their_attention(clips):
    made = module(CLIPS if clips else SCENES)
    inputs, captions = torch.rand(2, *made.example_input_array[0].shape[1:]), ["a red ring", "an orange star"]
    places = 8 if clips else 36
    looked = (pictures.attention_over_clips if clips else pictures.attention_over_images)(
        inputs, captions, torch.rand(2, 12, places).softmax(2)
    )
    titles = [label.get_text() for axes in looked.axes for label in axes.get_yticklabels()] if clips else [
        axes.get_title(loc="center") for axes in looked.axes
    ]  # fmt: skip
    assert {"a", "red", "ring", "an", "orange", "star"} <= set(titles)
    wrong = pictures.most_wrong(inputs, captions, ["a red ring", "a red star"])
    assert "written: a red star" in wrong.axes[1].get_title(loc="center")


# ---- images and sentences of one's own -------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    rows = ["image,caption"]
    for i in range(12):
        Image.new("RGB", (20 + i, 16), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
        rows.append(f'{i}.png,"A red, dark picture {i}."')
    (tmp_path / "own.csv").write_text("\n".join(rows))
    return tmp_path / "own.csv"


def test_a_csv_file_names_images_and_their_sentences(own):
    data = ImageData("captions", str(own), size=16)
    data.setup("fit")
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch["image"].shape == (2, 3, 16, 16)
    text = captions_to_text(batch["caption"], data.facts()["words"])
    assert all(each.startswith("a red , dark picture ") and each.endswith(" .") for each in text)
    made = Caption(**{name: data.facts()[name] for name in SCENES}, hidden=16)
    assert made.max_length == 9
    made.evaluate_batch(batch)
    assert set(made.compute_metrics("test")) == {"exact_match", "bleu"}


BAD = {
    "a folder": (".", "is a folder; name the CSV file with the columns image and caption"),
    "no file": ("none.csv", "none.csv"),
    "no column": ("image,title\n0.png,x\n", "no column 'caption' in the first row"),
    "no image": ("image,caption\n0.png,a\nx.png,b\n", ":3: there is no file"),
    "no picture": ("image,caption\nown.csv,a\n", "own.csv is no image (.bmp"),
    "no sentence": ("image,caption\n0.png,a\n1.png, \n", ":3: the caption is empty; leave the row out"),
    "twice": ("image,caption\n0.png,a\n0.png,b\n", "keep one caption for each image"),
    "too few": ("image,caption\n0.png,a\n", "has 1 rows; 10 are needed"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_csv_file_that_cannot_be_used_is_one_line(own, kind):
    content, words = BAD[kind]
    path = own.parent / ("bad.csv" if "\n" in content else content)
    if "\n" in content:
        path.write_text(content)
    with pytest.raises(BadSetting) as found:
        ImageData("captions", str(path))
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_an_image_that_is_none_is_named(own):
    own.with_name("3.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"3\.png cannot be read as an image"):
        ImageData("captions", str(own), size=16).setup("fit")


def test_data_without_captions_are_refused():
    with pytest.raises(BadSetting, match="no captions; use scenes48"):
        module(SCENES | {"words": []})
    with pytest.raises(BadSetting, match="temporal: images have no frames"):
        module(temporal="lstm")
    with pytest.raises(BadSetting, match="initial_state: a Transformer has no state; use network lstm"):
        module(network="transformer", initial_state=True)
    with pytest.raises(BadSetting, match="a multiple of 4"):
        Caption(**SCENES, hidden=18)
    with pytest.raises(BadSetting, match="name the CSV file with the columns image and caption"):
        ImageData("captions")


@pytest.mark.parametrize("override", ["data.name=letters", "model.temporal=mean", "data.name=captions"])
def test_check_refuses_it_in_one_line(override):
    with pytest.raises(LabError) as found:
        assemble(load(find_recipe("caption_scenes"), [override]))
    assert len(str(found.value).splitlines()) <= 2
