"""What a campaign's engine costs: empty units a second, and the share of real units' time, with one worker and two.

    python benchmarks/campaign_cost.py --out cost

All in one run on one machine; only ratios mean anything elsewhere.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from gmd26_md.campaign.description import read_campaign
from gmd26_md.campaign.drive import run_missing
from gmd26_md.campaign.engines import open_engine
from gmd26_md.campaign.units import units_of

ENGINES = ("processes", "dask")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("cost"))
    parser.add_argument("--n-empty", type=int, default=300)
    parser.add_argument("--n-seeds", type=int, default=3)
    parser.add_argument("--engine", action="append", choices=ENGINES, help="all by default")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for engine in given.engine or ENGINES:
        for n_workers in (1, 2):
            found[f"{engine}, {n_workers}"] = {
                "empty_units_per_s": _empty(engine, n_workers, given.n_empty),
                **_real(given.out / f"{engine}-{n_workers}", engine, n_workers, given.n_seeds),
            }
        one, two = (found[f"{engine}, {n}"]["elapsed_s"] for n in (1, 2))
        found[f"{engine}, two workers over one, ratio"] = one / two
        (given.out / "result.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(json.dumps(found, indent=1))


def nothing() -> int:
    """Do nothing: what is left is the engine's cost."""
    return 0


def _empty(engine: str, n_workers: int, n: int) -> float:
    with open_engine(engine, n_workers) as opened:
        [future.result() for future in [opened.submit({}, nothing) for _ in range(2 * n_workers)]]  # workers are up
        began = time.perf_counter()
        [future.result() for future in [opened.submit({}, nothing) for _ in range(n)]]
        return n / (time.perf_counter() - began)


def _real(out: Path, engine: str, n_workers: int, n_seeds: int) -> dict[str, float]:
    """Run 24 units; the share is what of the workers' time, their start included, was not the units' own."""
    path = out.with_suffix(".yaml")
    path.write_text(
        f"name: cost\nout: {out}\nmodels: [checkpoints/painn-duplication.pt]\ntasks: [duplication]\n"
        "molecules_per_unit: 1\nprotocols:\n"
        f"  - stability: {{run-ps: 0.2, thermalise-ps: 0.05, n-label-frames: 5, n-static-frames: 2, "
        f"n-seeds: {n_seeds}}}\n",
        encoding="utf-8",
    )
    campaign = read_campaign(path)
    units = units_of(campaign)
    began = time.perf_counter()
    progress = run_missing(campaign, units, engine=engine, n_workers=n_workers)
    elapsed = time.perf_counter() - began
    return {
        "n_units": len(progress.done),
        "elapsed_s": elapsed,
        "units_own_s": progress.spent_s,
        "overhead_ratio": 1.0 - progress.spent_s / (elapsed * n_workers),
    }


if __name__ == "__main__":
    main()
