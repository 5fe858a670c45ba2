import copy
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renorm.core.errors import RenormError
from renorm.study import config, grid, parts
from renorm.study.labels import Labels
from renorm.study.programs import Environment, Program, Results, Resume, Source

GOOD = {
    "study": "demo",
    "recipes": {"paper": {}, "fast": {"extends": "paper", "optimizer": {"lr": 0.2}}},
    "experiments": {
        "one": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm", "deconv"], "recipe": ["paper"],
                "epochs": [1, 2], "seeds": [1, 2, 3]},
        "two": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["deconv"], "recipe": ["paper", "fast"],
                "epochs": [1], "seeds": [3, 4]},
    },
}  # fmt: skip


def changed(path: str, value) -> dict:
    """GOOD with the key at the dotted `path` set to `value`."""
    out = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    at = out
    for key in parents:
        at = at.setdefault(key, {})
    at[last] = value
    return out


def complaint(values) -> str:
    with pytest.raises(RenormError) as caught:
        config.validate(values)
    return str(caught.value)


def test_a_good_study_and_its_grid():
    study = config.validate(GOOD)
    cells = grid.cells(study)
    assert len(cells) == 12 + 4 - 1  # deconv/paper/e1/s3 is wanted twice and stands once
    shared = [cell for cell, names in cells.items() if names == ["one", "two"]]
    assert [c.path for c in shared] == ["digits/tiny_vgg/deconv/paper/e1/s3"]


def test_only_narrows_the_experiments():
    study = config.validate(changed("only", "two"))
    assert len(grid.cells(study)) == 4
    assert grid.cells(config.validate(changed("only", "all"))) == grid.cells(config.validate(GOOD))
    assert len(grid.cells(config.validate(changed("only", "one, two")))) == 15


def test_an_experiment_alone_is_a_study_of_its_own(tmp_path):
    study = config.validate(GOOD | {"only": "one", "claims": {"original": "claims/x"}})
    alone = study.read_from(tmp_path).alone("two")
    assert (alone.study, alone.claims.own_cells) == ("two", True)
    assert set(grid.cells(alone)) == set(grid.experiment_cells(study.experiments["two"]))
    assert all(grid.hyperparameters(alone, cell) == grid.hyperparameters(study, cell) for cell in grid.cells(alone))
    (tmp_path / "c.json").write_text(json.dumps(alone.written_for(tmp_path)))
    assert config.load(tmp_path / "c.json") == alone


@pytest.mark.parametrize("name", ["demo", "runs", "data", "layer_views", "demo.partial", "paper2020"])
def test_reports_have_folders_and_names_of_their_own(name):
    claims = {"original": ["claims/paper2020"]}
    experiments = GOOD["experiments"] | {name: GOOD["experiments"]["one"]}
    told = complaint(GOOD | {"claims": claims, "experiments": experiments})
    assert "\n" not in told and f"experiments: '{name}' is the" in told and "choose another" in told
    if name != "demo":
        assert f"study: '{name}' is the" in complaint(GOOD | {"claims": claims, "study": name})


def test_folders_of_claims_are_one_or_several():
    claims = config.validate(GOOD | {"claims": {"original": "claims/x", "reproductions": "claims/y"}}).claims
    assert (claims.original, claims.reproductions) == (["claims/x"], ["claims/y"])
    both = {"original": ["claims/x", "claims/y"], "reproductions": ["claims/y"]}
    assert config.validate(GOOD | {"claims": both}).claims.reproductions == ["claims/y"]


def test_extends_takes_over_nested_keys():
    fast = config.validate(GOOD).recipes["fast"]
    assert (fast.optimizer.lr, fast.optimizer.momentum, fast.optimizer.weight_decay) == (0.2, 0.9, 1e-3)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("learning_rate", 1, ["learning_rate: unknown key"]),
        ("recipes.paper.optimizer.rl", 1, ["recipes.paper.optimizer.rl: unknown key", "known: lr"]),
        ("recipes.paper.batchsize", 1, ["recipes.paper.batchsize: unknown key", "did you mean 'batch_size'"]),
        ("experiments.one.sead", 1, ["experiments.one.sead: unknown key", "did you mean 'seeds'"]),
        ("experiments.one.arch", ["tiny_vg"], ["experiments.one.arch", "tiny_vg", "did you mean 'tiny_vgg'"]),
        ("experiments.one.dataset", ["digit"], ["experiments.one.dataset", "did you mean 'digits'"]),
        ("experiments.one.norm", ["decon"], ["experiments.one.norm", "did you mean 'deconv'"]),
        ("experiments.one.recipe", ["papr"], ["experiments.one.recipe", "did you mean 'paper'"]),
        ("experiments.one.epochs", [-1], ["experiments.one.epochs.0", "greater than or equal to 1", "-1"]),
        ("experiments.one.epochs", ["1"], ["experiments.one.epochs.0", "valid integer"]),
        ("experiments.one.epochs", [1.5], ["experiments.one.epochs.0"]),
        ("experiments.one.seeds", [1, 2, 1], ["experiments.one.seeds", "1 is there twice"]),
        ("experiments.one.seeds", [], ["experiments.one.seeds", "empty"]),
        ("experiments.one.seeds", 1, ["experiments.one.seeds", "valid list"]),
        ("recipes.paper.optimizer", "sgd",
         ['recipes.paper.optimizer: expected keys and values (name, lr, momentum, …) (found "sgd")']),
        ("comparisons", 3, ["comparisons: Input should be a valid list (found 3)"]),
        ("compare", {}, ["compare: unknown key: did you mean 'comparisons'?"]),
        ("claims", [], ["claims: expected keys and values (original, reproductions, own_cells) (found [])"]),
        ("experiments.one", None, ["experiments.one: expected keys and values (title, dataset, arch, …)"]),
        ("recipes.paper.by_arch", "vgg11", ["recipes.paper.by_arch: expected keys and values (found"]),
        ("layer_views", "d", ["layer_views: expected keys and values (found"]),
        ("claims", {"original": "claims/x", "reproductions": ["a/y", "b/y"]},
         ["claims.reproductions: 'y' is there twice: each source needs a name of its own"]),
        ("experiments", {}, ["experiments", "is missing"]),
        ("study", "../../x", ["study", "lower-case letters"]),
        ("study", "$(reboot)", ["study", "lower-case letters"]),
        ("results_dir", "a b", ["results_dir", "letters, digits"]),
        ("results_dir", "../up", ["results_dir", "'..'"]),
        ("recipes.paper.optimizer.lr", float("nan"), ["recipes.paper.optimizer.lr"]),
        ("recipes.paper.optimizer.lr", float("inf"), ["recipes.paper.optimizer.lr"]),
        ("recipes.paper.optimizer.lr", 0, ["recipes.paper.optimizer.lr", "greater than 0"]),
        ("recipes.paper.batch_size", 10**40, ["recipes.paper.batch_size"]),
        ("recipes.paper.extends", "papier", ["recipes", "unknown recipe 'papier'"]),
        ("recipes.paper.extends", "fast", ["recipes", "extends itself"]),
        ("only", "thre", ["only", "unknown experiment 'thre'"]),
        ("layer_views.d", {"kind": "bars", "cell": "digits/tiny_vgg/deconv/paper/e1/s1"},
         ["layer_views.d.kind", "unknown 'bars': known: covariance, image, sparsity"]),
        ("layer_views.d", {"kind": "image", "cell": "digits/tiny_vgg"}, ["layer_views.d", "is not a valid cell path"]),
        ("layer_views.d", {"kind": "image", "cell": "digits/tiny_vgg/deconv/paper/e7/s1"},
         ["layer_views.d.cell", "'digits/tiny_vgg/deconv/paper/e7/s1' is in no experiment"]),
        ("layer_views.d", {"kind": "image", "cell": "digits/tiny_vgg/batch_norm/paper/e1/s1"},
         ["layer_views.d.cell: 'batch_norm' deconvolves nothing: name a cell with deconv"]),
        ("layer_views.d", {"kind": "image", "cell": "digits/tiny_vgg/deconv/paper/e1/s1", "image": 200},
         ["layer_views.d", "image: 200 is none of the first 128 images"]),
        ("gpu_slots", 3, ["gpu_slots: 3 cells share a GPU only with gpu: 1 (found 0): change one"]),
        ("judge.threshold_kind", "percent", ["judge.threshold_kind", "unknown 'percent': known: absolute, relative"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_key_value_and_way_out(path, value, words):
    line = complaint(changed(path, value))
    assert "\n" not in line
    for word in words:
        assert word in line


def test_cells_share_a_gpu_only_where_each_takes_one():
    assert config.validate(GOOD | {"gpu": 1, "gpu_slots": 3}).gpu_slots == 3
    assert "gpu_slots: 3 cells share a GPU only with gpu: 1 (found 4)" in complaint(GOOD | {"gpu": 4, "gpu_slots": 3})


def test_every_mistake_is_told_at_once():
    values = changed("experiments.one.epochs", [0])
    values["stduy"] = "x"
    assert len(complaint(values).splitlines()) == 2


@pytest.mark.parametrize("missing", ["study", "experiments"])
def test_a_missing_key_is_named(missing):
    values = {key: value for key, value in copy.deepcopy(GOOD).items() if key != "claims"}
    del values[missing]
    assert f"{missing}: is missing" in complaint(values)


def test_a_study_may_be_of_claims_alone_and_then_names_are_its_claims_own():
    study = config.validate({"study": "s", "claims": {"original": "claims/paper"},
                             "comparisons": [{"name": "c", "baseline": "sgd", "method": "adamw"}]})  # fmt: skip
    assert not grid.cells(study) and study.comparisons[0].baseline == "sgd"


@pytest.mark.parametrize("values", [None, [], "x", 3])
def test_a_document_that_is_no_mapping(values):
    assert "expected keys and values" in complaint(values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study: a\nstudy: b\n", "line 2: duplicate key 'study'"),
        ("a: &x [1]\nb: *x\n", "line 2: YAML aliases"),
        ("a: [1\n", "not readable as YAML"),
        ("? [a]\n: 1\n", "a key must be a plain name"),
        ("a: !!python/object/apply:os.system ['true']\n", "not readable as YAML"),
        ("- 1\n", "expected keys and values"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, words):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(RenormError, match="c.yaml") as caught:
        config.load(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RenormError, match="cannot be read: No such file"):
        config.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"study: \xff\n")
    with pytest.raises(RenormError, match="is not UTF-8"):
        config.load(tmp_path / "latin.yaml")


def test_only_what_a_cell_uses_is_in_its_hyperparameters():
    recipe = config.Recipe()
    other = config.Recipe(norm={"block": 32})
    assert recipe.resolved("batch_norm", "vgg16") == other.resolved("batch_norm", "vgg16")
    assert recipe.resolved("deconv", "vgg16") != other.resolved("deconv", "vgg16")
    assert "momentum" not in config.Recipe(optimizer={"name": "adam"}).resolved("deconv", "vgg16")["optimizer"]


def test_a_recipe_may_differ_for_one_architecture():
    recipe = config.Recipe(by_arch={"vgg11": {"optimizer": {"lr": 0.01}}})
    assert recipe.resolved("deconv", "vgg11")["optimizer"]["lr"] == 0.01
    assert recipe.resolved("deconv", "vgg13") == config.Recipe().resolved("deconv", "vgg13")
    assert "by_arch.vgg11: optimizer.rl: unknown key" in complaint(
        changed("recipes.paper.by_arch", {"vgg11": {"optimizer": {"rl": 1}}})
    )
    assert "by_arch: unknown arch 'vgg12'" in complaint(changed("recipes.paper.by_arch", {"vgg12": {}}))


def test_published_normalisation_is_refused_where_nothing_was_published():
    values = changed("recipes.paper.normalise", "published")
    assert "nothing was published for digits" in complaint(values)
    assert "mean has 1 channels and std 2" in complaint(
        changed("recipes.paper.normalise", {"mean": [0.5], "std": [1.0, 1.0]})
    )


def test_a_study_survives_being_written_and_read(tmp_path):
    study = config.validate(GOOD)
    (tmp_path / "c.json").write_text(json.dumps(study.model_dump()))
    assert config.load(tmp_path / "c.json") == study


def test_folders_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    """Not to the folder in which Snakemake or a command is started."""
    (tmp_path / "there").mkdir()
    values = GOOD | {"claims": {"original": "claims/paper"}, "adopt": ["../records"]}
    (tmp_path / "there/study.json").write_text(json.dumps(values))
    for start, claims, records in (
        (tmp_path, "there/claims/paper", "records"),
        (tmp_path / "there", "claims/paper", "../records"),
    ):
        monkeypatch.chdir(start)
        study = config.load(Path(os.path.relpath(tmp_path / "there/study.json")))
        assert (study.claims.original, study.adopt) == ([claims], [records])


def test_data_root_order(monkeypatch):
    monkeypatch.setenv("RENORM_DATA", "/env")
    assert str(config.data_root("/configured")) == "/configured"
    assert str(config.data_root()) == "/env"
    monkeypatch.delenv("RENORM_DATA")
    assert str(config.data_root()) == "data"


@pytest.mark.parametrize("name", ["config.yaml", "config/demo.yaml", "config/cpu.yaml"])
def test_shipped_studies_are_valid(root, name):
    study = config.load(root / name)
    assert len(grid.cells(study)) == {"config.yaml": 360, "config/demo.yaml": 24, "config/cpu.yaml": 12}[name]
    assert study.gpu or study.device == "cpu"  # `auto` is planned for a processor and would be trained on a GPU


def test_every_experiment_of_the_documents_stands_in_the_study_with_its_cells(root):
    """Counts after the documents: 10 architectures × 2 data sets × 2 norms × 3 epochs × 3 seeds = 360, and so on."""
    study = config.load(root / "config.yaml", {"only": "all"})
    counts = {name: len(grid.experiment_cells(e)) for name, e in study.experiments.items()}
    assert counts == {
        "table1_cifar10": 180, "table1_cifar100": 180, "table2_vgg11": 3, "table2_residual": 4,
        "as_run_efficientnet": 18, "as_run_resnet18": 36, "preprint_cifar10": 27, "preprint_cifar100": 27,
        "preprint_imagenet": 8, "preprint_regression": 24, "preprint_logistic": 24, "preprint_mlp": 9,
        "preprint_weight_decay": 24, "student_table1": 18, "student_table2": 96, "student_table3": 12,
        "student_table4": 45, "normalisers": 120, "variants": 48,
    }  # fmt: skip
    assert len(grid.cells(study)) == 780
    tables = ("table1_cifar10", "table1_cifar100", "table2_vgg11", "table2_residual")
    assert sum(counts[name] for name in tables) == 367


def test_every_claim_of_an_accuracy_has_its_cell_in_the_study(root):
    """A published number of the originals that no cell of the study could answer would be missing for ever."""
    from renorm.study.claims import load_claims

    study = config.load(root / "config.yaml", {"only": "all"})
    planned = {(c.dataset, c.arch, c.norm, c.recipe, c.epochs) for c in grid.cells(study)}
    for folder in study.claims.original:
        frame = load_claims(root / folder).frame
        claimed = set(frame[["dataset", "arch", "norm", "recipe", "epochs"]].itertuples(index=False, name=None))
        assert claimed <= planned, (folder, sorted(claimed - planned)[:5])


def test_every_key_is_explained(root):
    text = (root / "config/README.md").read_text()
    models = [config.Study, config.Recipe, config.ImageData, config.NormOptions, config.Experiment, config.Judge,
              config.Comparison, config.Claims, Labels, config.LayerView, Program, Results, Source, Environment,
              Resume]  # fmt: skip
    models += [model for names in parts.PARTS.values() for model in names.values()]
    missing = [f"{m.__name__}.{key}" for m in models for key in m.model_fields if f"`{key}`" not in text]
    assert missing == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def paths(values, prefix=()):
    for key, value in values.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, key))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([".".join(p) for p in paths(GOOD)]), json_values)
def test_mutated_configurations_are_valid_or_one_line_per_mistake(path, value):
    try:
        config.validate(changed(path, value))
    except RenormError as error:
        assert all(line.startswith("config: ") for line in str(error).splitlines())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("recipes.paper.optimizer", {"weight_decay": False}, "weight_decay: expected a number or a name, found"),
        ("experiments.one.seeds", [1, True], "seeds: expected a number or a name, found a truth value"),
        ("only", 2020, "only: a name of digits: write only="),
        ("experiments", {2020: {}}, "2020: expected text: put a name that looks like a number"),
        ("experiments", {"all": GOOD["experiments"]["one"]}, "'all' is what `only: all` names"),
    ],
)
def test_numbers_as_names_and_truth_values_as_numbers(key, value, words):
    name = next(iter(GOOD["recipes"]))
    with pytest.raises(RenormError, match=words.replace(".", r"\.")):
        config.validate(changed(key.replace("base", name), value))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"metrics": {"rmse": {}}}, "metrics.rmse.direction"),
        ({"metrics": {"rmse": {"direction": "up"}}}, "metrics.rmse.direction"),
        ({"metrics": {"acc": {"direction": "higher"}}}, "metrics.acc: 'acc' is another metric's name or alias"),
        ({"metrics": {"f1": {"direction": "higher", "kind": "share", "unit": "%"}}}, "leave unit and bounds out"),
        ({"metrics": {"x": {"direction": "lower", "bounds": [3, 1]}}}, "bounds: 3 is not below 1"),
        ({"metrics": {"x": {"direction": "lower", "granular": True}}}, "only a share counts examples"),
        ({"judge": {"metric": "rmsd"}}, "judge.metric: unknown 'rmsd'"),
        ({"judge": {"margins": [{"where": {"metric": "loss"}, "points": 1}]}}, "'loss' is not a share: write absolute"),
        ({"judge": {"margins": [{"where": {"metric": "top1"}, "absolute": 1}]}}, "'top1' is a share: write points"),
        ({"judge": {"margins": [{"where": {"metric": ["tpo1"]}, "points": 1}]}}, "did you mean 'top1'?"),
    ],
)
def test_bad_metrics_are_one_line(more, said):
    with pytest.raises(RenormError) as error:
        config.validate(GOOD | more)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_metrics_of_a_study_reach_its_registry():
    study = config.validate(
        GOOD
        | {
            "metrics": {
                "f1": {"direction": "higher", "kind": "share", "aliases": ["F1"]},
                "ppl": {"direction": "lower", "bounds": [1, None], "digits": 1},
            }
        }
    )
    assert study.registry.find("F1").with_unit(0.5) == "50.00 %"
    perplexity = study.registry["ppl"]
    assert (perplexity.text(18.26), perplexity.difference_text(-0.5)) == ("18.3", "-0.5")
    assert perplexity.shortfall(3.0) == 2.0 and not perplexity.is_share
    with pytest.raises(RenormError, match="0.5 is below 1"):
        perplexity.convert(0.5, "")
