"""The page that is committed as an example: whole, of four models, and small enough to look at."""

from pathlib import Path

from tests.page.test_page import Read

EXAMPLE = Path(__file__).parents[2] / "examples" / "report" / "duplication.html"


def test_the_example_is_a_whole_page_of_four_models_under_six_megabytes():
    assert EXAMPLE.stat().st_size < 6e6
    read = Read(EXAMPLE.read_text(encoding="utf-8"))
    assert "24 molecules, 288 runs" in read.words
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
    assert sum(name.startswith("molecule-0-") and not name.endswith("-data") for name in read.ids) == 24
    for model in ("deepset-moe", "mace", "painn", "schnet"):
        assert f"{model}-duplication.pt" in read.words
    assert "/tmp/" not in read.words
    assert all(read.unpacked(name) is not None for name in read.data if name != "plotly")
