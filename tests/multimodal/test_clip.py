"""The task `clip`: loss, encoders, what is measured and drawn, somebody else's networks, and what is refused."""

import json
import math
import sys
from types import SimpleNamespace

import pytest
import torch
from lightning import Trainer
from torch.nn import functional as F
from torchmetrics.retrieval import RetrievalHitRate

from lab.errors import BadInput, LabError, RecipeError
from lab.multimodal.clip import plots as pictures
from lab.multimodal.clip.clip import Clip, accuracy, prompts
from lab.multimodal.clip.contrastive import Retrieval, contrastive_loss, same_captions
from lab.multimodal.clip.network import CLIP, MAX_LENGTH
from lab.multimodal.clip.open_clip import OpenCLIP
from lab.networks import TextEncoder
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.vision.data.generated import scenes
from lab.vision.data.image_data import ImageData

WORDS, PAIRS, UNSEEN = list(scenes.WORDS), list(scenes.PAIRS), list(scenes.UNSEEN)


def module(**settings):
    torch.manual_seed(0)
    facts = {"channels": 3, "size": 64, "words": WORDS, "pairs": PAIRS, "unseen": UNSEEN}
    return Clip(**facts, mean=[0.5] * 3, std=[0.2] * 3, **settings)


def places(*captions):
    rows = [[WORDS.index(word) for word in caption.split()] for caption in captions]
    return torch.tensor([row + [0] * (11 - len(row)) for row in rows])


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


@pytest.fixture
def batch():
    torch.manual_seed(0)
    found = scenes.load(True, 12, 0)
    return dict(found.columns) | {"image": found["image"].float() / 255}


# ---- loss ------------------------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_the_paper_where_no_caption_comes_twice():
    torch.manual_seed(0)
    images, texts, scale = unit(6, 4), unit(6, 4), torch.tensor(7.0)
    logits, own = scale * images @ texts.T, torch.arange(6)
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(contrastive_loss(images, texts, same_captions(own.unsqueeze(1)), scale), expected)


def test_equal_captions_share_their_images():
    torch.manual_seed(0)
    texts = unit(4, 8)[[0, 0, 1, 2]]
    same, scale = same_captions(torch.tensor([[5], [5], [6], [7]])), torch.tensor(20.0)
    own = contrastive_loss(texts, texts, same, scale)
    torch.testing.assert_close(contrastive_loss(texts[[1, 0, 2, 3]], texts, same, scale), own)
    least = (2 * math.log(2) + 0) / 4  # the one who is asked cannot know which of the two was meant
    apart = torch.eye(4)[[0, 0, 1, 2]]
    torch.testing.assert_close(contrastive_loss(apart, apart, same, torch.tensor(100.0)), torch.tensor(least))
    pushed = apart.clone().requires_grad_()
    contrastive_loss(pushed, apart, same, torch.tensor(100.0)).backward()
    assert pushed.grad.abs().max() < 1e-5, "nothing pulls an image away from words that are its own"


class Plain(Clip):
    """The same numbers for an image, whatever else is in its batch; and the gradient as it is."""

    def training_loss(self, batch, progress):
        self.network.eval()
        return super().training_loss(batch, progress)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trained(learner, data, **settings):
    silent = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(accelerator="cpu", logger=False, num_sanity_val_steps=0, **silent, **settings)
    trainer.fit(learner, data)
    return trainer


def of(data, kind=Clip, **settings):
    wanted = ("channels", "size", "words", "pairs", "unseen", "mean", "std")
    return kind(**{name: data.facts()[name] for name in wanted}, **settings)


@pytest.mark.slow
def test_two_processes_learn_what_one_does_with_all_negatives():
    found = []
    for count, size in ((1, 16), (2, 8)):
        torch.manual_seed(0)
        data = ImageData("scenes", max_images=40, batch_size=size)
        learner = of(data, Plain, prompt_prob=0.0)
        strategy = "ddp_fork" if count > 1 else "auto"
        trained(learner, data, devices=count, strategy=strategy, max_steps=1, limit_val_batches=0)
        found.append(learner.state_dict())
    before = of(data, Plain).state_dict()
    assert any(not torch.equal(before[key], found[0][key]) for key in before)
    for key in before:
        torch.testing.assert_close(found[1][key], found[0][key], atol=1e-5, rtol=1e-4, msg=key)


@pytest.mark.long
def test_it_learns_what_captions_say():
    torch.manual_seed(0)
    data = ImageData("scenes", max_images=2_000, batch_size=32)
    found = trained(of(data, lr=2e-3), data, devices=1, max_epochs=2).callback_metrics
    assert found["val/zero_shot"] > 0.1, "0.01 by chance"
    assert found["val/recall10_text_to_image"] > 0.2, "0.05 by chance, of 200"


# ---- encoders --------------------------------------------------------------------------------------------------------


def test_a_gradient_reaches_every_weight(batch):
    network = CLIP(3, len(WORDS), 16)
    images, texts = network.encode_image(batch["image"]), network.encode_text(batch["caption"])
    assert images.shape == texts.shape == (12, 16)
    torch.testing.assert_close(images.norm(dim=1), torch.ones(12))
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(12))
    contrastive_loss(images, texts, same_captions(batch["caption"]), network.log_scale.exp()).backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_encoder_keeps_where_things_are():
    network = CLIP(3, len(WORDS), 16).eval()
    maps = network.encoder(torch.zeros(2, 3, 64, 64))
    assert maps.shape == (2, network.encoder.channels, 8, 8)


def test_a_caption_is_its_words_in_their_order():
    torch.manual_seed(0)
    reader = TextEncoder(len(WORDS)).eval()
    one, other = places("a red ring above a blue star", "a blue star above a red ring")
    assert not torch.allclose(reader(one[None]), reader(other[None]), atol=1e-3)
    torch.testing.assert_close(reader(one[None, :7]), reader(one[None]))
    with pytest.raises(BadInput, match=f"^this network takes sequences of at most {MAX_LENGTH} steps, found 40$"):
        reader(torch.ones(1, 40, dtype=torch.long))


def test_prompts_are_captions():
    said = [" ".join(WORDS[word] for word in prompt) for prompt in prompts(PAIRS, WORDS)]
    assert said[0] == "a red circle"
    assert said[PAIRS.index("orange star")] == "an orange star"
    assert len(set(said)) == 100


# ---- training and measuring ------------------------------------------------------------------------------------------


def alone(learner):
    learner._trainer = SimpleNamespace(world_size=1)
    return learner


@pytest.mark.parametrize(("prompted", "said"), [(0.0, "caption"), (1.0, "prompt")])
def test_prompts_stand_in_for_captions(prompted, said, batch, monkeypatch):
    learner, heard = alone(module(prompt_prob=prompted)), []
    monkeypatch.setattr(
        learner.network, "encode_text", lambda captions: heard.append(captions) or unit(len(captions), 64)
    )
    learner.training_loss(batch, 0.0)
    expected = batch["caption"] if said == "caption" else places(*(f"a {PAIRS[i]}" for i in batch["pair"]))
    expected[:, 0] = batch["caption"][:, 0]  # a or an
    assert torch.equal(heard[0], expected)


def test_the_temperature_has_an_end(batch):
    learner = alone(module())
    torch.nn.init.constant_(learner.network.log_scale, 9.0)
    _, figures = learner.training_loss(batch, 0.0)
    assert float(figures()["train/scale"].detach()) == pytest.approx(100, rel=1e-5)


@pytest.mark.long
def test_what_training_calls_is_compiled(batch):
    eager, compiled, graphs, losses = alone(module()), alone(module()), [], []
    compiled.compile(backend=lambda graph, _: graphs.append(graph) or graph.forward)
    for learner in (eager, compiled):
        torch.manual_seed(1)
        losses.append(learner.training_loss(batch, 0.0)[0])
    assert graphs
    torch.testing.assert_close(*losses)


def test_recall_is_that_of_torchmetrics():
    torch.manual_seed(0)
    images, texts, captions = unit(60, 4), unit(60, 4), torch.randint(25, (60, 1))
    texts = unit(25, 4)[captions.squeeze(1)]
    measured = Retrieval()
    for part in (slice(0, 20), slice(20, 60)):
        measured.update(images[part], texts[part], captions[part])
    found, same = measured.compute(), same_captions(captions)
    for k in (1, 5, 10):
        for name, near in (("image_to_text", images @ texts.T), ("text_to_image", texts @ images.T)):
            query = torch.arange(60).repeat_interleave(60)
            expected = RetrievalHitRate(top_k=k)(near.flatten(), same.flatten(), indexes=query)
            torch.testing.assert_close(found[f"recall{k}_{name}"], expected)


def test_what_was_never_seen_is_counted_by_itself(batch, monkeypatch):
    learner, logged = module(), {}
    monkeypatch.setattr(learner, "log_dict", lambda found, **_: logged.update(found))
    pair = torch.tensor([3, 3, 14, 0, 1, 1])  # red pentagons and an orange diamond were not seen
    said = torch.tensor([3, 5, 14, 0, 1, 0])
    learner.confusion.update(said, pair)
    learner.top5.update(torch.eye(100)[said], pair)
    learner.mean_loss.update(torch.tensor(1.0))
    learner.retrieval.update(unit(6, 4), unit(6, 4), torch.arange(6).unsqueeze(1))
    monkeypatch.setattr(learner, "report", lambda: logged.update(counts=learner.confusion.compute()))
    learner.on_test_epoch_end()
    assert torch.equal(logged["counts"].nonzero()[:2], torch.tensor([[0, 0], [1, 0]]))
    assert float(logged["test/zero_shot"]) == pytest.approx(4 / 6)
    assert float(logged["test/zero_shot_unseen"]) == pytest.approx(2 / 3)
    assert float(logged["test/zero_shot_seen"]) == pytest.approx(2 / 3)
    assert float(accuracy(torch.zeros(3, 3))) == 0


def test_an_image_goes_to_the_prompt_that_suits_it_best(batch):
    learner = module().eval()
    with torch.inference_mode():
        logits, found = learner(batch["image"]), learner.evaluate_batch(batch)
        seen, asked = (
            learner.network.encode_image(learner.normalise(batch["image"])),
            learner.network.encode_text(learner.prompts),
        )
    torch.testing.assert_close(logits, seen @ asked.T / 0.07)
    torch.testing.assert_close(found["probabilities"], logits.softmax(1))
    assert logits.shape == (12, 100)


@pytest.mark.slow
@pytest.mark.parametrize("unseen", [UNSEEN, pytest.param([], marks=pytest.mark.long)])
def test_pictures_can_be_drawn(unseen, tmp_path):
    found = scenes.load(False, 60, 0)
    said = [" ".join(WORDS[word] for word in row if word) for row in found["caption"]]
    shown = {"image": found["image"].float() / 255, "pair": found["pair"], "image_vector": unit(60, 8)}
    shown |= {"text_vector": shown["image_vector"], "probabilities": F.one_hot(found["pair"], 100).float()}
    counts = torch.zeros(100, 100).index_put_((shown["pair"], shown["pair"]), torch.ones(60), accumulate=True)
    grid = pictures.pairs(counts, PAIRS, unseen).axes[0]
    assert len(grid.patches) == len(unseen)
    assert {text.get_text() for text in grid.texts} == {"100"}
    heat = pictures.similarity(shown, said).axes[0]
    assert [text.get_text() for text in heat.texts[:: 8 + 1]] == ["1.00"] * 8
    turned = torch.full_like(shown["image_vector"], -1e-4)  # cosines of nearly 0
    texts = pictures.similarity(shown | {"text_vector": turned * shown["image_vector"].sign()}, said).axes[0].texts
    assert {text.get_text() for text in texts[:: 8 + 1]} == {"0.00"}, "not -0.00"
    bars = pictures.zero_shot(shown, PAIRS, unseen).axes[1]
    assert bars.texts[0].get_text() in {PAIRS[i] for i in unseen or range(100)}
    pictures.text_to_image(shown, said).savefig(tmp_path / "found.png")
    first = pictures.image_to_text(shown, said).axes[0].texts[0]
    assert first.get_weight() == "bold"


# ---- networks of open_clip -------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path):
    """A network of open_clip for images of 16 x 16, and a file with its weights."""
    open_clip = pytest.importorskip("open_clip")
    vision = {"image_size": 16, "layers": 1, "width": 64, "head_width": 64, "patch_size": 8}
    text = {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
    (tmp_path / "tiny.json").write_text(json.dumps({"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(tmp_path / "tiny.json")
    torch.manual_seed(3)
    torch.save(open_clip.create_model("tiny").state_dict(), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.mark.slow
def test_a_network_of_open_clip_begins_with_the_weights_of_a_file(tiny, batch):
    learner = module(network="open_clip:tiny", pretrained=str(tiny))
    learner._trainer = SimpleNamespace(ckpt_path=None, world_size=1, precision="32-true", max_epochs=1)
    learner.setup("fit")
    stored = torch.load(tiny)
    assert all(torch.equal(value, stored[key]) for key, value in learner.network.model.state_dict().items())
    assert learner(batch["image"]).shape == (12, 100)
    loss, _ = learner.training_loss(batch, 0.0)
    loss.backward()
    assert learner.network.model.visual.conv1.weight.grad.any()


def test_captions_are_read_as_text(tiny, monkeypatch):
    network, heard = OpenCLIP("tiny", WORDS, None), []
    tokenizer = network.tokenizer
    monkeypatch.setattr(network, "tokenizer", lambda texts: heard.extend(texts) or tokenizer(texts))
    vectors = network.encode_text(places("a red ring", "an orange star above a blue heart"))
    assert heard == ["a red ring", "an orange star above a blue heart"]
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


def test_weights_that_are_nowhere_are_one_line(tiny, monkeypatch):
    network = OpenCLIP("tiny", WORDS, str(tiny))
    tiny.unlink()
    with pytest.raises(
        LabError, match=r"^there are no pretrained weights for open_clip:tiny, .*online, or name a file"
    ) as error:
        network.load_pretrained()
    assert "\n" not in str(error.value)


# ---- bad input -------------------------------------------------------------------------------------------------------


def refused(*overrides):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("clip_scenes"), overrides))
    (problem,) = error.value.problems
    assert "\n" not in str(problem)
    return str(problem)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.network=cn"], "model.network: no network 'cn'; known are cnn, open_clip:NAME and transformers:NAME"),
        (
            ["model.pretrained=openai"],
            "model.pretrained: there are no pretrained weights for cnn;",
        ),
        (["data.name=letters"], "data: this dataset has no captions; use scenes or scenes100"),
    ],
)
def test_a_bad_recipe_is_one_line(overrides, message):
    assert message in refused(*overrides)


def test_open_clip_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    assert "pip install 'torch-lab[clip]'" in refused("model.network=open_clip:ViT-B-32")


@pytest.mark.parametrize(
    ("network", "weights", "message"),
    [
        ("ViT-B-33", "openai", "open_clip has no network 'ViT-B-33'; did you mean 'open_clip:ViT-B-32'?"),
        ("RN50", "openay", "no file and no weights 'openay' of open_clip:RN50; did you mean 'openai'?"),
    ],
)
def test_networks_and_weights_that_open_clip_lacks_are_one_line(network, weights, message):
    pytest.importorskip("open_clip")
    assert message in refused(f"model.network=open_clip:{network}", f"model.pretrained={weights}")
