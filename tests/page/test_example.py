"""The pages that are committed as examples: whole, of four models, and small enough to look at."""

from pathlib import Path

import pytest

from tests.page.test_page import Read

EXAMPLES = Path(__file__).parents[2] / "examples" / "report"


@pytest.mark.parametrize(("task", "n_molecules", "n_runs"), [("duplication", 24, 288), ("combination", 36, 144)])
def test_an_example_is_a_whole_page_of_four_models_under_six_megabytes(task, n_molecules, n_runs):
    page = EXAMPLES / f"{task}.html"
    assert page.stat().st_size < 6e6
    read = Read(page.read_text(encoding="utf-8"))
    assert f"{n_molecules} molecules, {n_runs} runs" in read.words
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
    assert sum(name.startswith("molecule-0-") and not name.endswith("-data") for name in read.ids) == n_molecules
    for model in ("deepset-moe", "mace", "painn", "schnet"):
        assert f"{model}-{task}.pt" in read.words
    assert "/tmp/" not in read.words
    assert all(read.unpacked(name) is not None for name in read.data if name != "plotly")
