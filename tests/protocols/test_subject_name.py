"""What reports call a model's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmd26_md.calculators.provenance import name_of_file


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("checkpoints/mace-duplication.pt", "mace-duplication"),
        ("training-runs/mace-duplication/best.pt", "mace-duplication"),
        ("training-runs/mace-duplication/last.pt", "mace-duplication-last"),
        ("models/best.model", "best"),
    ],
)
def test_what_training_calls_best_is_called_after_its_folder(path: str, name: str) -> None:
    assert name_of_file(Path(path)) == name


def test_a_file_in_the_folder_where_one_stands_is_called_after_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert name_of_file(Path("best.pt")) == "mine"
