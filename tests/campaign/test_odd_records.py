"""Records whose values are not of their column's kind: one line that names the record, no traceback."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gmd26_md.errors import UserError
from gmd26_md.record_columns import records_frame, write_parquet
from gmd26_md.records import Record

pytest.importorskip("pyarrow")

GOOD = asdict(
    Record(
        model="mace", model_sha256="ab", family="mace", molecule="water", formula="H2O", split="ood", task="user",
        protocol="stability", settings={"temperature_K": 300.0}, seed=0, verdict="faithful",
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("metrics", {"path_force_mae_eV_per_A": "x"}, "path_force_mae_eV_per_A"),
        ("settings", {"reference": {"name": "x"}}, "reference"),
        ("settings", {"temperature_K": "cold"}, "temperature_K"),
        ("seed", "first", "seed"),
        ("seed", 2**70, "seed"),
        ("model", 5, "model"),
    ],
)
def test_a_value_of_another_kind_is_one_line(tmp_path: Path, field: str, value: Any, name: str) -> None:
    lines = [json.dumps(GOOD), json.dumps(GOOD | {field: value})]
    (tmp_path / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for read in (lambda: records_frame(tmp_path), lambda: write_parquet([tmp_path], tmp_path / "all.parquet")):
        with pytest.raises(UserError, match=f"has {name} = ") as problem:
            read()
        assert "\n" not in str(problem.value)
    assert not (tmp_path / "all.parquet").exists()
