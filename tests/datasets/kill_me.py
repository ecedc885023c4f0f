"""Run as a script: generate ethane, in a process that a test may kill."""

import json
import sys
from pathlib import Path

from gmd26_md import molecules
from gmd26_md.datasets.generate import generate
from gmd26_md.datasets.sample import SamplingSettings


def main(data: str, settings: str) -> None:
    generate([molecules.get("ethane")], Path(data), settings=SamplingSettings(**json.loads(settings)), n_workers=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
