"""Variants of a recipe: named, different from it, and no other."""

import pytest

from gmd26_md.errors import UserError
from gmd26_md.training.variants import parsed, variants

BASE = {"routing": "both", "decoder": "mlp", "max_degree": 3, "shells": [1.0, 2.0]}


def names(choices, **more):
    return [v.name for v in variants(BASE, choices, **more)]


def test_one_thing_at_a_time_is_changed_and_the_recipe_stands_first():
    found = variants(BASE, {"routing": ["spatial", "both"], "decoder": ["identity"]})
    assert [v.name for v in found] == ["as-it-is", "routing=spatial", "decoder=identity"]
    assert [v.hyperparameters for v in found] == [{}, {"routing": "spatial"}, {"decoder": "identity"}]


def test_crossed_are_all_combinations_each_once():
    found = names({"routing": ["spatial", "both"], "decoder": ["identity"]}, crossed=True)
    assert sorted(found) == sorted(
        ["as-it-is", "routing=spatial", "decoder=identity", "routing=spatial,decoder=identity"]
    )


def test_values_are_read_as_numbers_words_or_lists():
    assert parsed(["max_degree=0,3", "routing=spatial", "routing=identity"]) == {
        "max_degree": [0, 3], "routing": ["spatial", "identity"],
    }  # fmt: skip
    assert parsed(["shells=[1.5, 2.5]"]) == {"shells": [[1.5, 2.5]]}
    assert parsed(["flag=true,0.5,word"]) == {"flag": [True, 0.5, "word"]}
    assert names({"shells": [[1.5, 2.5]]}) == ["as-it-is", "shells=_1.5__2.5_"]  # fit for a folder


@pytest.mark.parametrize(
    ("choices", "words"),
    [({"rooting": ["both"]}, "routing"), ({"routing": ["both"]}, "no variant differs"), ({}, "no variant differs")],
)
def test_nothing_to_compare_is_one_line(choices, words):
    with pytest.raises(UserError, match=words):
        variants(BASE, choices)


@pytest.mark.parametrize("text", ["routing", "=both", "routing="])
def test_an_option_of_another_form_is_named(text):
    with pytest.raises(UserError, match="name=value"):
        parsed([text])
