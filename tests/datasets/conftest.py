"""Ethane, sampled by GFN2-xTB for a few steps."""

from functools import partial
from pathlib import Path

import pytest

from gmd26_md import molecules
from gmd26_md.calculators import load_calculator
from gmd26_md.datasets.sample import SamplingSettings, sample_molecule

LEVEL = "gfn2-xtb"


@pytest.fixture(scope="session")
def ethane():
    return molecules.get("ethane")


@pytest.fixture(scope="session")
def few_steps() -> SamplingSettings:
    return SamplingSettings(n_primary=3, n_secondary=3, equilibrate_ps=0.005, interval_fs=2.5)


@pytest.fixture(scope="session")
def enough_steps() -> SamplingSettings:
    """Settings that give enough frames for slopes and temperatures to be judged, in a few seconds."""
    return SamplingSettings(n_primary=60, n_secondary=60, equilibrate_ps=0.2)


@pytest.fixture(scope="session")
def sound_data(tmp_path_factory, ethane, enough_steps, sampled) -> Path:
    """A data folder with 60 + 60 frames of ethane; look, do not change."""
    data = tmp_path_factory.mktemp("sound")
    assert sampled(ethane, data, enough_steps) == {"minimum": "done", "primary": "done", "secondary": "done"}
    return data


@pytest.fixture(scope="session")
def sampled():
    """Return a function that samples a molecule into a data folder, here and now."""

    def sample(molecule, data: Path, settings: SamplingSettings, make=None) -> dict[str, str]:
        make = make or partial(load_calculator, LEVEL, accuracy=settings.accuracy, warm_start=True)
        return sample_molecule(molecule, data / LEVEL / molecule.slug, LEVEL, make, settings, "a test")

    return sample


@pytest.fixture(scope="session")
def untouched_data(tmp_path_factory, ethane, few_steps, sampled) -> Path:
    """A data folder with ethane; look, do not change."""
    data = tmp_path_factory.mktemp("data")
    assert sampled(ethane, data, few_steps) == {"minimum": "done", "primary": "done", "secondary": "done"}
    return data
