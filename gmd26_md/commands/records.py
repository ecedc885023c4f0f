"""`gmd26-md records`: records of any number of runs, filtered, counted, exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gmd26_md.commands.forms import format_option, line_width

if TYPE_CHECKING:
    import pandas as pd

_FORMS = (".parquet", ".csv", ".jsonl")
_BY = "model,task,protocol,split"


@click.command(short_help="Records of many runs: filter, count, export.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN [RUN ...]")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE[,VALUE]", help="Only such records; may be repeated.")
@click.option("--by", default=_BY, show_default=True, help="Columns to count by.")
@click.option("--metric", "metrics", multiple=True, help="Mean of this metric too; may be repeated.")
@click.option("--columns", default="", help="Of --out; by default all.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="FILE.parquet, .csv or .jsonl.")
@format_option()
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(
    runs: tuple[Path, ...],
    where: tuple[str, ...],
    by: str,
    metrics: tuple[str, ...],
    columns: str,
    out: Path | None,
    form: str,
    as_json: bool,
) -> None:
    """Count verdicts of any number of records, or write them into one file.

    RUN is a run folder, a campaign's folder, any folder of those, or a Parquet file that this command wrote. A million
    records are best written to Parquet once, and filtered from there.
    """
    from gmd26_md import strict_json
    from gmd26_md.errors import UserError, unknown_name
    from gmd26_md.record_columns import records_frame, write_parquet

    if out is not None and out.suffix not in _FORMS:
        raise unknown_name("format of --out", out.suffix, _FORMS)
    chosen = _conditions(where)
    named = [name for name in columns.split(",") if name]
    if out is not None and out.suffix == ".parquet" and not (chosen or named):
        if any(run.suffix == ".parquet" for run in runs):
            raise UserError("a Parquet file is written from run folders; choose --where or --columns to cut one.")
        click.echo(f"{write_parquet(runs, out)} records are in {out}.")
        return
    if out is not None:
        frame = records_frame(runs, columns=named or None, where=chosen)
        _write(frame, out)
        click.echo(f"{len(frame)} records are in {out}.")
        return
    keys = list(dict.fromkeys(name for name in by.split(",") if name))
    if not keys:
        raise UserError(f"--by {by!r} names no column; write --by {_BY}.")
    frame = records_frame(runs, columns=[*dict.fromkeys([*keys, "verdict", *metrics])], where=chosen)
    if frame.empty:  # a mistyped value is no error, and should not look like an answer
        click.echo("note: no record fits.", err=True)
    counted = _counted(frame, keys, list(metrics))
    if as_json:
        click.echo(json.dumps(strict_json.encoded(_plain(counted)), indent=1, ensure_ascii=False))
        return
    from gmd26_md.report.forms import written

    click.echo(written(_rows(counted, form), form, width=line_width(), n_keys=len(keys)), nl=False)


def _conditions(where: tuple[str, ...]) -> dict[str, list[str | None]]:
    from gmd26_md.errors import UserError

    found: dict[str, list[str | None]] = {}
    for text in where:
        name, sign, values = text.partition("=")
        if not (name and sign):
            raise UserError(f"--where {text!r} is not of the form COLUMN=VALUE; write --where verdict=silent,broken.")
        found[name] = [value or None for value in values.split(",")]  # an empty one is what did not happen
    return found


def _counted(frame: pd.DataFrame, keys: list[str], metrics: list[str]) -> pd.DataFrame:
    import pandas as pd

    from gmd26_md.errors import UserError

    for name in metrics:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise UserError(f"--metric {name} has no mean: it is text; name a number, as path_force_mae_eV_per_A.")
    grouped = frame.groupby(keys, dropna=False, observed=True)
    counts = grouped.size().rename("n_records").to_frame()
    verdicts = frame.groupby([*keys, "verdict"], observed=True).size().unstack(fill_value=0)
    parts = [counts, verdicts, *[grouped[name].mean().rename(f"mean {name}") for name in metrics]]
    counted = pd.concat(parts, axis=1)
    # counts stay whole numbers where a group has none of a verdict, as of records that have no verdict at all
    return counted.astype(dict.fromkeys(["n_records", *verdicts.columns], "Int64")).reset_index()


def _rows(counted: pd.DataFrame, form: str) -> list[list[str]]:
    """Return the counts as text: "-" for what did not happen, four digits for people and all of them in CSV."""
    import pandas as pd

    def cell(value: object) -> str:
        if pd.isna(value):  # type: ignore[call-overload]
            return "nan" if isinstance(value, float) else "-"
        return f"{value:.4g}" if isinstance(value, float) and form != "csv" else str(value)

    return [
        [str(name) for name in counted.columns],
        *[[cell(v) for v in row] for row in counted.itertuples(index=False)],
    ]


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries: None is what did not happen, NaN stays."""
    import pandas as pd

    rows = frame.to_dict("records")
    return [{str(name): None if value is pd.NA else value for name, value in row.items()} for row in rows]


def _write(frame: pd.DataFrame, out: Path) -> None:
    from gmd26_md import strict_json
    from gmd26_md.files import written_whole

    with written_whole(out) as aside:
        if out.suffix == ".csv":
            frame.to_csv(aside, index=False)
        elif out.suffix == ".jsonl":
            aside.write_text("".join(f"{strict_json.dumps(row)}\n" for row in _plain(frame)), encoding="utf-8")
        else:
            frame.to_parquet(aside, index=False)
