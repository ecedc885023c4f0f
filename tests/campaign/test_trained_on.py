"""What trained a checkpoint, without torch: the same as the whole file says, for all that a file can be."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from gmd26_md.calculators import checkpoint_file, named_function, provenance
from gmd26_md.campaign import trained_on as light
from gmd26_md.campaign import units
from gmd26_md.protocols import subject

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "checkpoints").glob("*.pt"))

FILE = """
name: audit
out: {out}
models: [{models}]
tasks: [duplication]
protocols: [stability]
"""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_card_alone_says_what_the_whole_file_says(path: Path) -> None:
    assert light.trained_on(path) == subject.trained_on(path) != ()


def test_other_files_say_nothing(tmp_path: Path) -> None:
    whole = SHIPPED[0].read_bytes()
    (tmp_path / "text.pt").write_text("gmd26-md-checkpoint", encoding="utf-8")
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pt").touch()
    with zipfile.ZipFile(tmp_path / "archive.pt", "w") as archive:
        archive.writestr("archive/data.pkl", "no pickle")
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", "gmd26-md-checkpoint" * 1000)
    packed = bytearray((tmp_path / "packed.pt").read_bytes())
    packed[60:70] = b"\xff" * 10  # zlib has an error of its own
    (tmp_path / "packed.pt").write_bytes(packed)
    for name in ("text", "half", "empty", "archive", "packed", "absent"):
        path = tmp_path / f"{name}.pt"
        assert light.trained_on(path) == subject.trained_on(path) == ()


def test_a_card_that_cannot_be_told_apart_is_read_with_the_whole_file(tmp_path: Path) -> None:
    content = checkpoint_file.read(SHIPPED[0])
    weights = {"card": next(iter(content.state_dict.values())), **content.state_dict}  # a tensor of this name, first
    whole = {"state_dict": weights, "format": checkpoint_file.FORMAT, "version": 1, "card": content.card}
    torch.save(whole, tmp_path / "odd.pt")
    assert light.trained_on(tmp_path / "odd.pt") == subject.trained_on(SHIPPED[0]) != ()


def test_constitutions_that_are_not_one_a_molecule_are_left_out(tmp_path: Path) -> None:
    content = checkpoint_file.read(SHIPPED[0])
    card = json.loads(content.card)
    n = len(card["training"]["molecules"])
    for graphs in (["CC"] * n, ["CC"], "CC"):
        card["training"]["constitutions"] = graphs
        path = tmp_path / "some.pt"
        checkpoint_file.write(path, json.dumps(card), content.state_dict)
        assert light.trained_on(path) == subject.trained_on(path)


def test_models_are_called_what_records_call_them(tmp_path: Path) -> None:
    assert light._FORMAT == checkpoint_file.FORMAT
    for name in ("one.pt", "best.pt", "last.pt", "a.b.model"):
        (tmp_path / name).touch()
        model = str(tmp_path / name)
        assert units._called(model, units.model_file(model)) == provenance.name_of_file(tmp_path / name)
    (tmp_path / "own.py").touch()
    model = f"{tmp_path / 'own.py'}:f"
    assert units._called(model, units.model_file(model)) == named_function.full_function(model)
    assert units._called("package.module:f", None) == named_function.full_function("package.module:f")


def test_a_plan_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "own.py").touch()
    models = [*map(str, SHIPPED[:1]), "gfn2-xtb", f"{tmp_path / 'own.py'}:f"]
    quoted = ", ".join(f"'{model}'" for model in models)
    (tmp_path / "campaign.yaml").write_text(FILE.format(out=tmp_path / "out", models=quoted), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path\n"
        "from gmd26_md.campaign.description import read_campaign\n"
        "from gmd26_md.campaign.units import units_of\n"
        "from gmd26_md.commands.campaign import _finish\n"
        f"campaign = read_campaign(Path({str(tmp_path / 'campaign.yaml')!r}))\n"
        "units = units_of(campaign)\n"
        "_finish(campaign, units, {}, False, False)\n"
        "assert len(units) == 9, len(units)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
