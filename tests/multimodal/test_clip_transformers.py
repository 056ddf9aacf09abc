"""Networks of transformers in the task `clip`: what they give, how they begin and learn, and what is refused."""

import sys

import pytest
import torch
from lightning import Trainer

from lab.errors import LabError, RecipeError
from lab.multimodal.clip.clip import Clip
from lab.multimodal.clip.transformers_clip import TransformersCLIP
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.generated import scenes
from lab.vision.data.image_data import ImageData

transformers = pytest.importorskip("transformers")

WORDS = list(scenes.WORDS)
LAYER = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = LAYER | {"image_size": 16, "patch_size": 8}
TEXT = LAYER | {"vocab_size": 120, "max_position_embeddings": 16, "pad_token_id": 0, "bos_token_id": 2}
CLIP = {"vision_config": VISION, "text_config": TEXT | {"eos_token_id": 3}, "projection_dim": 8}
SIGLIP = {"vision_config": VISION, "text_config": TEXT | {"eos_token_id": 3, "projection_size": 8}}


def tokeniser():
    """Of whole words, which it reads as 4 and more."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    places = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[BOS]", "[EOS]", *WORDS[1:]])}
    made = Tokenizer(models.WordLevel(places, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[BOS]", 2), ("[EOS]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[BOS] $A [EOS]", special_tokens=ends)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")


def saved(folder, config, *parts):
    torch.manual_seed(3)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A folder with a CLIP for images of 16 x 16, as transformers saves one, with random weights."""
    pixels = transformers.CLIPImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6])
    return saved(tmp_path_factory.mktemp("clip"), transformers.CLIPConfig(**CLIP), tokeniser(), pixels)


@pytest.fixture
def batch():
    found = scenes.load(True, 12, 0)
    return dict(found.columns) | {"image": found["image"].float() / 255}


def places(*captions):
    rows = [[WORDS.index(word) for word in caption.split()] for caption in captions]
    return torch.tensor([row + [0] * (11 - len(row)) for row in rows])


@pytest.mark.long
def test_it_begins_with_its_weights_learns_and_is_asked(clip):
    data = ImageData("scenes", max_images=24, batch_size=8)
    facts = {name: data.facts()[name] for name in ("channels", "size", "words", "pairs", "unseen", "mean", "std")}
    learner = Clip(**facts, network=f"transformers:{clip}", lr=1e-3)
    torch.testing.assert_close(learner.normalise.scale.flatten(), 1 / torch.tensor([0.4, 0.5, 0.6]))
    torch.testing.assert_close(learner.normalise.shift.flatten(), -torch.tensor([0.25, 0.4, 0.5]))
    stored = transformers.CLIPModel.from_pretrained(clip).state_dict()
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(accelerator="cpu", logger=False, devices=1, max_steps=1, num_sanity_val_steps=0, **silent)
    learner.on_fit_start = lambda: begun.update({key: value.clone() for key, value in learner.state_dict().items()})
    begun: dict[str, torch.Tensor] = {}
    trainer.fit(learner, data)
    assert all(torch.equal(value, begun[f"network.model.{key}"]) for key, value in stored.items())
    moved = {key.split(".")[2] for key, value in learner.state_dict().items() if not torch.equal(value, begun[key])}
    assert moved == {"text_model", "vision_model", "text_projection", "visual_projection", "logit_scale"}
    (found,) = trainer.test(learner, data, verbose=False)
    assert 0 <= found["test/zero_shot_unseen"] <= 1
    assert {f"test/recall10_{way}" for way in ("image_to_text", "text_to_image")} <= found.keys()


@pytest.mark.slow
def test_its_logits_are_those_of_transformers(clip, batch):
    """On images that have its size already, in words that it reads by itself."""
    network = TransformersCLIP(str(clip), WORDS).eval()
    network.load_pretrained()
    images, captions = batch["image"][:, :, :16, :16], places("a red ring", "an orange star above a blue heart")
    expected = transformers.CLIPModel.from_pretrained(clip).eval()
    read = tokeniser()(["a red ring", "an orange star above a blue heart"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = network.log_scale.exp() * network.encode_image(images) @ network.encode_text(captions).T
        torch.testing.assert_close(logits, expected(**read, pixel_values=images).logits_per_image)


def test_a_siglip_is_read_as_it_was_trained(tmp_path, batch):
    """All captions as long as they may be; and its bias, which is no part of this loss, waits for no gradient."""
    pixels = transformers.SiglipImageProcessor()
    folder = saved(tmp_path / "siglip", transformers.SiglipConfig(**SIGLIP), tokeniser(), pixels)
    network = TransformersCLIP(str(folder), WORDS)
    network.load_pretrained()
    texts = network.encode_text(places("a red ring", "a red ring above a blue heart"))
    torch.testing.assert_close(network.encode_text(places("a red ring")), texts[:1])
    (texts.sum() + (network.log_scale * network.encode_image(batch["image"])).sum()).backward()
    assert [key for key, weight in network.named_parameters() if weight.requires_grad and weight.grad is None] == []


def test_weights_of_half_precision_become_whole(tmp_path):
    config = transformers.CLIPConfig(**CLIP, dtype="float16")
    saved(tmp_path, config, tokeniser(), transformers.CLIPImageProcessor())
    assert transformers.AutoConfig.from_pretrained(tmp_path).dtype == torch.float16
    network = TransformersCLIP(str(tmp_path), WORDS)
    network.load_pretrained()
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_a_name_is_looked_up_in_the_cache_and_nowhere_else(clip, tmp_path, monkeypatch):
    kept = tmp_path / "models--me--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "snapshots").mkdir()
    (kept / "refs/main").write_text("0" * 40)
    (kept / "snapshots" / ("0" * 40)).symlink_to(clip)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("it asks the network"))
    network = TransformersCLIP("me/tiny", WORDS)
    network.load_pretrained()
    message = (
        "me/other is no folder, and not in the cache of huggingface_hub; with an internet connection run: hf download "
    )
    assert message in refused("me/other")


# ---- bad input -------------------------------------------------------------------------------------------------------


def refused(name, *overrides):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("clip_scenes"), [f"model.network=transformers:{name}", *overrides]))
    (problem,) = error.value.problems
    assert "\n" not in str(problem)
    return str(problem)


def without(folder, made, *names):
    made.mkdir()
    for file in folder.iterdir():
        if not file.name.startswith(names):
            (made / file.name).symlink_to(file)
    return made


@pytest.mark.slow
def test_what_is_no_clip_is_one_line(clip, tmp_path):
    assert "no folder '/no/where', and no model can have that name" in refused("/no/where")
    (tmp_path / "empty").mkdir()
    assert "cannot be built here: Unrecognized model in" in refused(tmp_path / "empty")
    saved(tmp_path / "bert", transformers.BertConfig(**LAYER, vocab_size=20))
    assert "a model of type bert has no shared embedding space of images and texts" in refused(tmp_path / "bert")
    mute = without(clip, tmp_path / "mute", "tokenizer")
    assert "its tokenizer gives different words the same ids; is its file missing?" in refused(mute)
    blind = without(clip, tmp_path / "blind", "preprocessor")
    assert "cannot be built here: Can't load image processor" in refused(blind)
    assert f"model.pretrained: transformers:{clip} comes with its own weights" in refused(clip, "model.pretrained=it")


def test_weights_that_are_not_there_or_others_are_one_line(clip, tmp_path):
    bare = without(clip, tmp_path / "bare", "model")
    network = TransformersCLIP(str(bare), WORDS)
    with pytest.raises(
        LabError, match=r"^there are no pretrained weights for transformers:.*/bare in .*: .* no file named model"
    ) as error:
        network.load_pretrained()
    assert "\n" not in str(error.value)
    short = transformers.CLIPTextModel(transformers.CLIPConfig(**CLIP).text_config)
    short.save_pretrained(tmp_path / "short")
    (bare / "model.safetensors").symlink_to(tmp_path / "short/model.safetensors")
    with pytest.raises(LabError, match="they lack "):
        network.load_pretrained()


def test_transformers_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install 'torch-lab[clip]'" in refused("openai/clip-vit-base-patch32")
