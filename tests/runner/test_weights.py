"""`start_from`: a run that begins with another one's weights, and what is said when it cannot."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mlflow import MlflowClient

import lab
from lab import files
from lab.cli import main
from lab.errors import LabError, RecipeError
from lab.recipe import load
from lab.recipe.schema import StartFrom
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.runner.results import find_run
from lab.runner.resume import resume
from lab.runner.weights import begin
from lab.study.plan import schema
from lab.study.plan.plan import make_plan

SMALL = ["model.hidden=[8, 8]", "data.points=50", "trainer.max_epochs=1", "track.system_metrics=false"]


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_database):
    """A database with runs of which nothing but the checkpoint counts."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder)
    address = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(address)
    experiment = client.create_experiment("first", (folder / "artifacts").as_uri())

    def record(name, recipe, *overrides):
        run = client.create_run(experiment, run_name=name).info.run_id
        module = assemble(load(find_recipe(recipe), overrides)).module
        files.save({"state_dict": module.state_dict()}, folder / "best.ckpt")
        client.log_artifact(run, str(folder / "best.ckpt"), "checkpoints")
        client.set_terminated(run)

    record("curve", "regress_curve", "seed=7", "model.hidden=[8, 8]")
    record("code", "autoencode_letters", "seed=7")
    record("agent", "ddpg_pendulum", "seed=7")
    record("trunk", "classify_digits", "seed=7", "model.network=timm:test_resnet")
    record("gpt", "language_model_python_help", "model.width=16", "model.depth=1")
    record("twin", "regress_curve", "seed=8")
    record("twin", "regress_curve", "seed=9")
    client.create_run(experiment, run_name="empty")
    return address


def weights(name, server):
    folder = find_run(name, server).info.artifact_uri.removeprefix("file://")
    return files.load(Path(folder, "checkpoints/best.ckpt"))["state_dict"]


def begun(recipe, run, parts, server, *overrides):
    settings = [f"start_from.run={json.dumps(run)}", f"start_from.parts={json.dumps(parts)}", *overrides]
    return begin(assemble(load(find_recipe(recipe), settings)), server)


@pytest.mark.slow
def test_nothing_or_null_is_from_scratch(server):
    plain = assemble(load(find_recipe("regress_curve")))
    assert plain.recipe.start_from is None
    assert "start_from" not in plain.recipe.resolved()
    assert begin(plain, server) is plain
    expected = plain.module.state_dict()
    found = begun("regress_curve", None, ["network"], server)
    assert found.recipe.start_from == StartFrom(None, ("network",))
    assert all(torch.equal(expected[name], value) for name, value in found.module.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "run", "parts", "overrides"),
    [
        ("regress_curve", "curve", ["network.0", "network.4"], ["model.hidden=[8, 8]"]),
        ("regress_curve", "curve", [], ["model.hidden=[8, 8]"]),
        ("classify_letters", "code", ["network.encoder"], ["model.network=encoder"]),
        ("autoencode_letters", "code", ["network.encoder.0.weight"], ["model.beta=1"]),
        ("ddpg_pendulum", "agent", ["actor", "explorer"], []),  # the same weights under two names
    ],
)
def test_the_parts_are_copied_and_nothing_else_is(recipe, run, parts, overrides, server, tmp_path):
    kept = weights(run, server)
    scratch = assemble(load(find_recipe(recipe), overrides)).module.state_dict()
    found = begun(recipe, run, parts, server, *overrides)
    copied = 0
    for name, value in found.module.state_dict().items():
        inside = not parts or any(f"{name}.".startswith(f"{part}.") for part in parts)
        assert torch.equal(value, (kept if inside else scratch)[name])
        copied += inside and not torch.equal(value, scratch[name])
    assert copied > 0
    assert found.recipe.start_from == StartFrom(find_run(run, server).info.run_id, tuple(parts))
    file = tmp_path / "again.yaml"
    file.write_text(found.recipe.to_yaml())
    assert load(file).start_from == found.recipe.start_from


LETTERS = ("classify_letters", "code")
ENCODER = "network.encoder"
WORDS = ("language_model_python_help", "gpt")
COMMON = "; the same in both: network.encoder"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "run", "parts", "overrides", "message"),
    [
        (*LETTERS, ["network.encodr"], [], "neither Classify nor run {id} has a part 'network.encodr'; did you m"),
        (*LETTERS, ["network.decoder"], [], "Classify has no part 'network.decoder'; did you mean 'network.encoder'?"),
        (*LETTERS, ["network.classifier"], [], "run {id} has no part 'network.classifier'; did you mean 'network.enc"),
        (*LETTERS, [], [], f"network.classifier.bias is in Classify alone{COMMON}"),
        (*LETTERS, [ENCODER], ["model.network=mlp"], "Classify has no part 'network.encoder'; they have no part in"),
        ("autoencode_letters", "code", [ENCODER], ["model.latent_dim=16"], "network.encoder.8.weight is 16 x 288 here"),
        ("autoencode_letters", "curve", ["network.0"], [], "Autoencode has no part 'network.0'"),
        (*WORDS, ["network"], [], "run {id}: network.embedding belongs to its tokenizer; add the part tokenizer"),
        ("regress_curve", "crve", [], [], "no run 'crve'; did you mean 'curve'?; lab runs lists them"),
        ("regress_curve", "twin", [], [], "'twin' is the name or start of 2 runs"),
        ("regress_curve", "empty", [], [], "run {id} has no checkpoints/best.ckpt"),
        ("regress_curve", "last", [], [], "`last` changes with every run; give an id or a name from lab runs"),
    ],
)  # fmt: skip
def test_what_cannot_be_copied_is_one_line(recipe, run, parts, overrides, message, server):
    extra = ["model.network=encoder"] if recipe == "classify_letters" and not overrides else []
    extra += ["model.width=16", "model.depth=1"] if run == "gpt" else []
    with pytest.raises(RecipeError) as error:
        begun(recipe, run, parts, server, *extra, *overrides)
    (problem,) = error.value.problems
    given = find_run(run, server).info.run_id[:8] if run in ("code", "empty", "gpt") else ""
    assert problem.message.startswith(message.format(id=given))
    assert problem.key.startswith("start_from.")
    assert problem.where.startswith("override start_from")
    assert "\n" not in str(problem)


@pytest.mark.slow
def test_a_study_says_so_before_it_begins(server, tmp_path):
    file = tmp_path / "study.yaml"
    lines = "recipe: regress_curve", "sampler: grid", "set: {start_from.parts: [network.0], model.hidden: [8, 8]}"
    file.write_text("\n".join([*lines, "space: {start_from.run: [null, curve, crve, last]}"]))
    with pytest.raises(RecipeError) as error:
        make_plan(schema.load_study(file), uri=server)
    assert [problem.key for problem in error.value.problems] == ["space.start_from.run.2", "space.start_from.run.3"]
    file.write_text("\n".join([*lines, "space: {start_from.run: [null, curve]}"]))
    assert len(make_plan(schema.load_study(file), uri=server).entries) == 2


@pytest.mark.slow
@pytest.mark.parametrize("beside", [True, False])
def test_a_study_whose_own_recipe_is_wrong_says_so_before_it_begins(beside, server, tmp_path):
    (tmp_path / "wrong.yaml").write_text(find_recipe("regress_curve").read_text() + "start_from: {run: crve}\n")
    file = tmp_path / "study.yaml"
    recipe = "recipe: wrong.yaml" if beside else "recipe: regress_curve\nset: {start_from.run: crve}"
    file.write_text(f"{recipe}\nsampler: grid\nspace: {{model.lr: [0.1, 0.2]}}")
    with pytest.raises(RecipeError) as error:
        make_plan(schema.load_study(file), uri=server)
    (problem,) = error.value.problems
    assert problem.key == ("start_from.run" if beside else "set.start_from.run")
    assert problem.message == "no run 'crve'; did you mean 'curve'?; lab runs lists them"
    file.write_text(f"{recipe}\nsampler: grid\nspace: {{start_from.run: [null]}}")
    assert len(make_plan(schema.load_study(file), uri=server).entries) == 1, "no trial begins with the recipe's own"


def test_weights_of_a_run_come_on_top_of_pretrained_ones(server, monkeypatch):
    taken = []

    def fives(self):
        taken.append(self)
        for weight in self.parameters():
            torch.nn.init.constant_(weight, 5.0)

    monkeypatch.setattr("lab.vision.networks.timm_classifier.TimmClassifier.load_pretrained", fives)
    settings = ["model.network=timm:test_resnet", "model.pretrained=true"]
    found = begun("classify_digits", "trunk", ["network.network.fc"], server, *settings).module
    found._trainer = SimpleNamespace(ckpt_path=None, precision="32-true", max_epochs=1)
    found.setup("fit")
    kept = weights("trunk", server)
    for name, value in found.named_parameters():
        theirs = name.startswith("network.network.fc.")
        assert torch.equal(value, kept[name] if theirs else torch.full_like(value, 5.0)), name
    assert len(taken) == 1


@pytest.mark.parametrize("command", [("run", "--dry-run"), ("check",)])
def test_checking_a_recipe_takes_no_pretrained_weights(command, server, tmp_path, monkeypatch, capsys):
    """They are downloaded; that the other run has fitting ones is still seen."""
    monkeypatch.setattr("lab.vision.networks.timm_classifier.TimmClassifier.load_pretrained", lambda _: 1 / 0)
    recipe = tmp_path / "both.yaml"
    origin = f"track: {{uri: '{server}'}}\nstart_from: {{run: trunk, parts: [network.network.fc]}}\n"
    fast = "model: {network: timm:test_resnet, pretrained: true}\ntrainer: {max_epochs: 1}\n"
    recipe.write_text(f"task: classify\ndata: {{name: digits}}\n{fast}{origin}")
    word, *options = command
    with pytest.raises(SystemExit) as leaving:
        main([word, str(recipe), *options])
    out, err = capsys.readouterr()
    assert leaving.value.code == 0, err
    assert word == "check" or f"run: {find_run('trunk', server).info.run_id}" in out


@pytest.mark.slow
def test_a_run_records_where_it_began_and_begins_there_again(server, tmp_path, monkeypatch):
    """A rate of almost nothing leaves the weights where they were."""
    still = ["model.lr=1e-12", f"track.uri={server}", "start_from.run=curve", *SMALL]
    expected = weights("curve", server)["network.0.weight"]
    done = lab.run("regress_curve", *still, "track.name=second")
    torch.testing.assert_close(files.load(done.best)["state_dict"]["network.0.weight"], expected)
    origin = find_run("curve", server).info.run_id
    params = MlflowClient(server).get_run(done.run_id).data.params
    assert (params["start_from.run"], params["start_from.parts"]) == (origin, "[]")
    with monkeypatch.context() as patched:
        patched.setattr("lab.runner.training.train", lambda *_: 1 / 0)
        with pytest.raises(LabError, match="division by zero"):
            lab.run("regress_curve", *still, "track.name=third")
    went_on = resume("third", server)
    torch.testing.assert_close(files.load(went_on.best)["state_dict"]["network.0.weight"], expected)
