"""Axes of recipes: what they expand to, in which order, under which names; and what is refused in one line."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renorm.core.errors import RenormError
from renorm.study import config, grid, recipe_axes

GRID = {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["batch_norm"], "epochs": [1], "seeds": [1]}


def study(bs, **more):
    return config.validate({
        "study": "axes", "recipes": {"paper": {"batch_size": 64}, "bs": bs},
        "experiments": {"e": {**GRID, "recipe": ["bs", "paper"]}}, **more,
    })  # fmt: skip


def complaint(bs, **more):
    with pytest.raises(RenormError) as error:
        study(bs, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_product_in_the_order_of_the_configuration():
    found = study({"extends": "paper", "axes": {"batch_size": [128, 8], "optimizer.lr": [0.1, 0.05, 0.01]}})
    names = found.experiments["e"].recipe
    assert names[:4] == [
        "bs.batch_size-128.lr-0.1", "bs.batch_size-128.lr-0.05", "bs.batch_size-128.lr-0.01", "bs.batch_size-8.lr-0.1",
    ]  # fmt: skip
    assert len(names) == 7 and names[-1] == "paper" and list(found.recipes) == ["paper", *names[:-1]]
    recipe = found.recipes["bs.batch_size-8.lr-0.05"]
    assert (recipe.batch_size, recipe.optimizer.lr, recipe.optimizer.weight_decay) == (8, 0.05, 1e-3)
    assert len(grid.cells(found)) == 7
    assert recipe_axes.points(found.recipes)["bs.batch_size-8.lr-0.05"] == recipe_axes.Place(
        family="bs", axes={"batch_size": "8", "optimizer.lr": "0.05"}
    )


def test_axes_in_step():
    axes = {"batch_size": [128, 32], "schedule": ["cosine", "constant"], "optimizer.lr": [0.1, 0.05]}
    every = study({"axes": axes, "zip": True}).recipes
    points = [tuple(place.axes.values()) for place in recipe_axes.points(every).values()]
    assert points == [("128", "cosine", "0.1"), ("32", "constant", "0.05")]
    some = study({"axes": axes, "zip": ["batch_size", "optimizer.lr"]}).recipes
    assert [tuple(place.axes.values()) for place in recipe_axes.points(some).values()] == [
        ("128", "cosine", "0.1"), ("128", "constant", "0.1"), ("32", "cosine", "0.05"), ("32", "constant", "0.05"),
    ]  # fmt: skip


def test_a_place_on_an_axis_changes_no_hyperparameter_and_is_not_inherited():
    plain = config.Recipe(batch_size=32)
    placed = config.Recipe(batch_size=32, family="bs", axes=["batch_size"])
    assert placed.resolved("deconv", "tiny_vgg") == plain.resolved("deconv", "tiny_vgg")
    found = study({"batch_size": 8, "family": "sizes", "axes": ["batch_size"]})
    assert recipe_axes.points(found.recipes) == {"bs": recipe_axes.Place(family="sizes", axes={"batch_size": "8"})}
    found = config.validate({
        "study": "axes", "recipes": {"a": {"family": "f", "axes": ["batch_size"]}, "b": {"extends": "a"}},
        "experiments": {"e": {**GRID, "recipe": ["a", "b"]}},
    })  # fmt: skip
    assert list(recipe_axes.points(found.recipes)) == ["a"]


def test_what_was_expanded_is_read_again():
    found = study({"axes": {"batch_size": [128, 8]}})
    assert config.validate(found.model_dump()) == found


def test_labels_of_the_points():
    labels = {"recipe": {"bs": "Batches", "bs.batch_size-8": "tiny batches"}, "axis": {"batch_size": "size"}}
    found = study({"axes": {"batch_size": [128, 8]}}, labels=labels)
    assert recipe_axes.labels(found.recipes, found.labels.recipe, found.labels.axis) == {
        "bs": "Batches", "bs.batch_size-8": "tiny batches", "bs.batch_size-128": "Batches, size 128",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        ({"axes": {"batch_sise": [1]}}, "recipes.bs.axes: unknown setting 'batch_sise': did you mean 'batch_size'?"),
        ({"axes": {"norm": [1]}}, "recipes.bs.axes: unknown setting 'norm'"),
        ({"axes": {"optimizer.betas": [[0.9, 0.99]]}}, "recipes.bs.axes.optimizer.betas: [0.9, 0.99] is not a number"),
        ({"axes": {}}, "recipes.bs.axes: is empty: name at least one setting"),
        ({"axes": {"batch_size": 8}}, "recipes.bs.axes.batch_size: 8: write a list of values"),
        ({"axes": {"batch_size": []}}, "recipes.bs.axes.batch_size: []: write a list of values"),
        ({"axes": {"batch_size": [8, 8]}}, "recipes.bs.axes.batch_size: 8 is there twice"),
        ({"axes": {"batch_size": [[8]]}}, "recipes.bs.axes.batch_size: [8] is not a number"),
        ({"axes": {"batch_size": [8, 0]}}, "recipes.bs.batch_size-0.batch_size: Input should be greater than"),
        ({"axes": {"batch_size": [8, 16], "log_steps": [1]}, "zip": True}, "recipes.bs.zip: axes in step need equally"),
        ({"axes": {"batch_size": [8, 16]}, "zip": "all"}, "recipes.bs.zip: 'all': write true for all axes"),
        ({"axes": {"batch_size": [8], "log_steps": [1]}, "zip": ["batch_size", "log_step"]},
         "recipes.bs.zip: unknown axis 'log_step': did you mean 'log_steps'?"),
        ({"axes": {"batch_size": list(range(1, 1500))}}, "recipes.bs.axes: 1499 recipes are too many"),
        ({"axes": ["batch_size"]}, "recipes.bs: axes: a list places a recipe in its `family`"),
        ({"axes": ["batch"], "family": "f"}, "recipes.bs: axes: unknown setting 'batch': did you mean 'batch_size'"),
    ],
)  # fmt: skip
def test_a_bad_axis_is_one_clear_line(recipe, line):
    assert line in complaint(recipe)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(
    st.sampled_from(["batch_size", "optimizer.lr", "schedule", "", "x.y", "norm"]),
    st.one_of(st.none(), st.integers(), st.text(max_size=4), st.lists(st.one_of(
        st.integers(), st.floats(), st.text(max_size=4), st.none(), st.booleans()), max_size=3)), max_size=3,
))  # fmt: skip
def test_no_axes_give_a_traceback(axes):
    try:
        study({"axes": axes})
    except RenormError as error:
        assert str(error).startswith("config: recipes.")
