"""Recipes: read from TOML, overridable, and strict about what they do not know."""

from pathlib import Path

import pytest

from gmd26_md.calculators.families import family_names
from gmd26_md.errors import UserError
from gmd26_md.training.model import all_hyperparameters
from gmd26_md.training.recipe import Recipe, families, load_recipe, named_recipe, paper_families, recipe_from_dict


def test_every_family_of_networks_has_a_recipe_and_every_recipe_a_family():
    assert set(families()) == set(family_names())


@pytest.mark.parametrize("family", families())
def test_a_packaged_recipe_names_its_own_family_and_only_hyperparameters_it_has(family):
    recipe = load_recipe(family)
    assert recipe.family == family
    assert recipe.element_energies == "least-squares"
    assert set(recipe.hyperparameters) <= set(all_hyperparameters(recipe))


@pytest.mark.parametrize("family", paper_families())
def test_published_hyperparameters_are_a_recipe_of_their_own_and_larger(family):
    recipe, small = load_recipe(named_recipe(family, "paper")), load_recipe(named_recipe(family, None))
    assert recipe.family == small.family == family
    assert recipe.n_steps > small.n_steps
    assert set(recipe.hyperparameters) <= set(all_hyperparameters(recipe))
    sizes = [{k: v for k, v in all_hyperparameters(r).items() if k != "cutoff"} for r in (recipe, small)]
    assert sizes[0] != sizes[1]


def test_where_nothing_is_published_no_recipe_says_so():
    assert "deepset-moe" not in paper_families()
    with pytest.raises(UserError, match="no hyperparameters of deepset-moe are published; leave --recipe out"):
        named_recipe("deepset-moe", "paper")
    with pytest.raises(UserError, match="mace"):
        named_recipe("mece", "paper")
    assert named_recipe("mace", Path("mine.toml")) == Path("mine.toml")


def test_overrides_replace_settings_and_merge_hyperparameters(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('family = "painn"\nseed = 3\n[hyperparameters]\ncutoff = 4.0\nn_rbf = 8\n')
    recipe = load_recipe(path, seed=7, hyperparameters={"n_rbf": 12})
    assert (recipe.seed, recipe.hyperparameters) == (7, {"cutoff": 4.0, "n_rbf": 12})


def test_a_recipe_survives_the_way_into_a_dict_and_back():
    recipe = load_recipe("mace", seed=5)
    assert recipe_from_dict(recipe.as_dict()) == recipe


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: load_recipe("pain"), "Did you mean 'painn'"),
        (lambda: load_recipe("painn", learning_rat=0.1), "Did you mean 'learning_rate'"),
        (lambda: load_recipe("painn", loss="hubber"), "Did you mean 'huber'"),
        (lambda: load_recipe("painn", element_energies="isolated"), "Did you mean 'isolated-atoms'"),
        (lambda: load_recipe("painn", n_steps="many"), "must be int"),
        (lambda: load_recipe("painn", n_steps=True), "must be int"),
        (lambda: load_recipe("painn", n_steps=0), "at least 1"),
        (lambda: load_recipe("painn", learning_rate=-1.0), "above 0"),
        (lambda: load_recipe("painn", learning_rate=float("nan")), "finite"),
        (lambda: load_recipe("painn", ema_decay=1.0), "below 1"),
        (lambda: load_recipe("no/such.toml"), "no recipe file"),
        (lambda: recipe_from_dict({"seed": 1}), "names no family"),
    ],
)
def test_a_bad_recipe_is_refused_on_one_line_that_helps(make, words):
    with pytest.raises(UserError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_an_unknown_hyperparameter_is_refused_with_the_closest_known():
    with pytest.raises(UserError, match="Did you mean 'cutoff'"):
        all_hyperparameters(Recipe(family="painn", hyperparameters={"cutof": 4.0}))


def test_a_file_that_is_not_toml_is_refused_with_its_name(tmp_path: Path):
    path = tmp_path / "broken.toml"
    path.write_text("family = ")
    with pytest.raises(UserError, match=r"broken\.toml is not TOML"):
        load_recipe(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'family = "painn"\nhyperparameters = 3\n'])
def test_a_recipe_that_is_no_text_or_no_table_is_one_line(tmp_path, content):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.toml is not TOML|hyperparameters is 3") as caught:
        load_recipe(tmp_path / "mine.toml")
    assert "\n" not in str(caught.value)
