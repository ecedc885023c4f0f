"""Run as a script: label ethane's frames with GFN2-xTB, in a process that a test may kill."""

import sys
from pathlib import Path

from gmd26_md import molecules
from gmd26_md.datasets.relabel import relabel
from gmd26_md.datasets.relabel_jobs import LabelSettings, open_jobs


def main(data: str, out: str) -> None:
    settings = LabelSettings("gfn2-xtb", "toy", n_test=400, minimum=False)
    jobs = open_jobs([(molecules.get("ethane"), "ood")], Path(data), Path(out), settings)
    relabel(jobs, settings, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
