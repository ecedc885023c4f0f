"""Records as columns: pandas in one call, and a Parquet file that a million of them are filtered from in seconds.

A column a field, the name of the run folder (`run`), `settings` and `versions` as JSON text, and a column a metric.
What did not happen (None) is null and what is not a number stays NaN: the columns are Arrow's, which tell them apart.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gmd26_md import strict_json
from gmd26_md.errors import UserError, unknown_name
from gmd26_md.files import written_whole
from gmd26_md.metrics import METRICS
from gmd26_md.records import run_key

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_TEXTS = (
    "model", "model_sha256", "family", "molecule", "formula", "split", "task", "task_sha256", "protocol", "verdict",
    "reason", "device", "trajectory", "structure_sha256",
)  # fmt: skip
_SETTINGS = {"temperature_K": "double", "ensemble": "string", "timestep_fs": "double", "reference": "string"}
"""Settings that have a column of their own, beside all of them as JSON."""
_COSTS = {"cost_wall_s": "wall_s", "cost_n_energy_calls": "n_energy_calls", "cost_max_rss_MB": "max_rss_MB"}
"""Column and entry of a record's cost; a metric may have the same name as an entry."""
_RUN = "run"  # tells apart what a campaign asks of one model's file under two names, or in two precisions
_OTHER = "other_metrics"  # as JSON: of a newer version than this one
_CHUNK = 20_000


def records_frame(
    runs: str | Path | Sequence[str | Path],
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Return the records of run folders, campaigns' folders, or a Parquet file of records, as a pandas frame.

    Parameters
    ----------
    runs
        One or several; a folder that holds run folders is searched.
    columns
        Only these; all if None.
    where
        Only records whose column has this value, or one of a list of values; {"verdict": ["silent", "broken"]}.

    Raises
    ------
    UserError
        For a path without records, a line that is no record, or an unknown column.
    """
    import pandas as pd

    table = _table([runs] if isinstance(runs, str | Path) else runs, columns, where or {})
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def write_parquet(runs: Sequence[str | Path], out: Path) -> int:
    """Write the records of run folders into one Parquet file, whole or not at all; return how many there are.

    Limit: memory for some ten thousand records at a time, however many there are.
    """
    parquet = _arrow("pyarrow.parquet")
    n = 0
    with written_whole(out) as aside, parquet.ParquetWriter(aside, _schema(), compression="zstd") as writer:
        lines = _lines(runs)
        while chunk := list(itertools.islice(lines, _CHUNK)):
            writer.write_table(_as_table(chunk))
            n += len(chunk)
    return n


def _table(runs: Sequence[str | Path], columns: Sequence[str] | None, where: Mapping[str, Any]) -> pa.Table:
    compute, parquet = _arrow("pyarrow.compute"), _arrow("pyarrow.parquet")
    names = _schema().names
    for name in (*(columns or ()), *where):
        if name not in names:
            raise unknown_name("column", name, names)
    terms = [compute.field(name).isin(_wanted(name, value)) for name, value in where.items()]
    wanted = terms[0] if terms else None
    for term in terms[1:]:
        wanted = wanted & term
    tables = []
    for path in map(Path, runs):
        if path.suffix == ".parquet":
            _check_parquet(path, [*(columns or ()), *where])
            tables.append(parquet.read_table(path, columns=list(columns) if columns else None, filters=wanted))
    rest = [path for path in runs if Path(path).suffix != ".parquet"]
    if rest:
        table = _as_table(list(_lines(rest)))
        table = table if wanted is None else table.filter(wanted)
        tables.append(table.select(list(columns)) if columns else table)
    if len({tuple(table.column_names) for table in tables}) > 1:
        raise UserError("these do not have the same columns, as one was cut by --columns; name those that all have.")
    return _arrow("pyarrow").concat_tables(tables)


def _check_parquet(path: Path, needed: Iterable[str]) -> None:
    """Raise a UserError for a file that is no Parquet, or lacks a column."""
    try:
        names = _arrow("pyarrow.parquet").read_schema(path).names
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror or problem}; give a Parquet file.") from problem
    except ValueError as problem:
        raise UserError(f"{path} is no Parquet file ({problem}); give one that 'gmd26-md records' wrote.") from problem
    for name in needed:
        if name not in names:
            raise UserError(
                f"{path} has no column {name}, as it was cut by --columns to {', '.join(names)}; ask for these only, "
                "or give the run folders."
            )


def _wanted(name: str, value: Any) -> pa.Array:
    """Return the values that a column may have, of the column's type: text that says a number is one there."""
    pa = _arrow("pyarrow")
    kind = _schema().field(name).type
    read = str if kind == pa.string() else _whole if kind == pa.int64() else float
    try:
        return pa.array([None if v is None else read(v) for v in _several(value)], type=kind)
    except (ValueError, TypeError, OverflowError) as problem:
        raise UserError(f"{name} holds numbers{', whole ones' if read is _whole else ''}; got {value!r}.") from problem


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _whole(value: Any) -> int:
    if float(value) != int(float(value)):
        raise ValueError(value)
    return int(float(value))


def record_files(runs: Iterable[str | Path]) -> list[Path]:
    """Return the record files of run folders, or of all run folders below a folder, each once.

    A campaign's units are passed over where its runs are gathered, and what is at work always.

    Raises
    ------
    UserError
        For a path without any.
    """
    found: dict[Path, None] = {}
    for run in map(Path, runs):
        if run.is_file():
            mine = [run]
        elif (run / "records.jsonl").is_file():
            mine = [run / "records.jsonl"]
        else:
            mine = [path for path in sorted(run.glob("**/records.jsonl")) if not _is_passed_over(path, run)]
        if not mine:
            raise UserError(f"{run} holds no records.jsonl; give a run folder, or a folder of them.")
        found |= dict.fromkeys(path.resolve() for path in mine)
    return list(found)


def _is_passed_over(path: Path, below: Path) -> bool:
    """Tell whether a record file is a unit at work, or a campaign's unit that stands in the gathered runs too."""
    inner = [folder for folder in path.parents if folder.is_relative_to(below)]
    return any(
        folder.name == "at-work" or (folder.name == "units" and any((folder.parent / "runs").glob("*/records.jsonl")))
        for folder in inner
    )


def _lines(runs: Iterable[str | Path]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all record files; a torn last line is left out, as it is everywhere."""
    for path in record_files(runs):
        with path.open("rb") as handle:  # bytes: a torn line may end within a letter
            for number, line in enumerate(handle, start=1):
                if not line.strip():
                    continue
                try:
                    content = json.loads(line)
                except ValueError as problem:
                    if line.endswith(b"\n"):
                        raise _no_record(path, number, str(problem)) from problem
                    continue
                try:
                    row = _row(content)
                except KeyError as problem:
                    raise _no_record(path, number, f"it has no {problem}") from problem
                except (AttributeError, TypeError, ValueError) as problem:
                    raise _no_record(path, number, str(problem)) from problem
                yield row | {_RUN: path.parent.name}


def _no_record(path: Path, number: int, problem: str) -> UserError:
    return UserError(
        f"line {number} of {path} is no record: {problem}. "
        "Move the file away, or read it with the version that wrote it."
    )


def _row(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise TypeError("it is no object")
    settings = content.get("settings", {})
    metrics = content.get("metrics", {})
    cost = content.get("cost", {})
    row = {name: content.get(name) for name in _TEXTS}
    row["key"] = run_key(
        content["protocol"], content["model_sha256"], content["molecule"], content.get("structure_sha256", ""),
        strict_json.decoded(settings), content["seed"],
    )  # fmt: skip
    row["seed"] = content["seed"]
    row |= {name: settings.get(name) for name in _SETTINGS}
    row |= {column: strict_json.decoded(cost.get(name)) for column, name in _COSTS.items()}
    row |= {name: strict_json.decoded(metrics.get(name)) for name in METRICS}
    other = {name: value for name, value in metrics.items() if name not in METRICS}
    row[_OTHER] = json.dumps(other) if other else None
    row["settings"], row["versions"] = json.dumps(settings), json.dumps(content.get("versions", {}))
    return row


def _schema() -> pa.Schema:
    pa = _arrow("pyarrow")
    fields = [(name, pa.string()) for name in (_RUN, *_TEXTS)] + [("key", pa.string()), ("seed", pa.int64())]
    fields += [(name, pa.string() if kind == "string" else pa.float64()) for name, kind in _SETTINGS.items()]
    fields += [(name, pa.float64()) for name in (*_COSTS, *METRICS)]
    fields += [(name, pa.string()) for name in (_OTHER, "settings", "versions")]
    return pa.schema(fields)


def _as_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the rows as columns.

    Raises
    ------
    UserError
        For a value that is not of its column's kind, with the record that has it.
    """
    table = _arrow("pyarrow").Table
    try:
        return table.from_pylist(list(rows), schema=_schema())
    except (ValueError, TypeError, OverflowError) as problem:
        for row in rows:
            for name, value in row.items():
                _check_kind(row, name, value)
        raise UserError(f"the records make no columns: {' '.join(str(problem).split())}.") from problem


def _check_kind(row: Mapping[str, Any], name: str, value: Any) -> None:
    pa = _arrow("pyarrow")
    kind = _schema().field(name).type
    try:
        pa.array([value], type=kind)
    except (ValueError, TypeError, OverflowError) as problem:
        raise UserError(
            f"the record of {row['molecule']} by {row['model']}, seed {row['seed']}, has {name} = {value!r}, which is "
            f"no {kind}; leave its folder out, or read it with the version that wrote it."
        ) from problem


def _arrow(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as problem:
        raise UserError(
            "records as columns need the package pyarrow, which is not here: pip install 'gmd26-md[records]'."
        ) from problem
