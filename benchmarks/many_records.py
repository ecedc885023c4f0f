"""How long a million records take: as lines, as columns, filtered, tabled.

    python benchmarks/many_records.py --out many --n 1000000

Takes the records of docs/results/records/standard-painn.jsonl again and again under other seeds. Needs about 5 GB of
disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gmd26_md import records_frame
from gmd26_md.record_columns import write_parquet

SOURCE = Path(__file__).parent.parent / "docs" / "results" / "records" / "standard-painn.jsonl"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("many"))
    parser.add_argument("--n", type=int, default=1_000_000)
    given = parser.parse_args()
    run, parquet = given.out / "run", given.out / "records.parquet"
    found: dict[str, Any] = {"n_records": given.n}
    found["lines_written_s"], _ = _timed(lambda: _lines(run / "records.jsonl", given.n))
    found["lines_MB"] = (run / "records.jsonl").stat().st_size / 1e6
    found["parquet_written_s"], _ = _timed(lambda: write_parquet([run], parquet))
    found["parquet_MB"] = parquet.stat().st_size / 1e6
    silent = {"verdict": "silent", "split": "ood"}
    found["filtered_s"], frame = _timed(lambda: records_frame(parquet, where=silent))
    found["n_filtered"] = len(frame)
    columns = ["molecule", "split", "verdict", "path_force_mae_eV_per_A"]
    found["tabled_s"], table = _timed(lambda: _table(records_frame(parquet, columns=columns)))
    found["n_rows"] = len(table)
    found["max_rss_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps(found, indent=1))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _table(frame: Any) -> Any:
    """Return runs and mean force error by molecule and verdict."""
    grouped = frame.groupby(["molecule", "split", "verdict"], observed=True)
    return grouped["path_force_mae_eV_per_A"].agg(["size", "mean"])


def _lines(path: Path, n: int) -> None:
    records = [json.loads(line) for line in SOURCE.read_text(encoding="utf-8").splitlines()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as handle:
        for i in range(n):
            record = records[i % len(records)]
            record["seed"] = i // len(records)
            handle.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
