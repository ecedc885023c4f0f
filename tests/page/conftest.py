"""A run folder with a faithful, a silent and a broken run, all with their frames; and one of another model."""

import numpy as np
import pytest

from tests.page.page_records import folder_of, run_of, static_of, trajectory_of


@pytest.fixture(scope="session")
def run_folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    names = {"trajectory": "trajectories/{}.extxyz"}
    records = []
    for name, verdicts in {"ethanoic acid": ["faithful", "faithful"], "ethanedioic acid": ["silent", "broken"]}.items():
        records.append(static_of(name))
        for seed, verdict in enumerate(verdicts):
            slug = f"{name.replace(' ', '-')}-{seed}"
            run = trajectory_of(name, stretched=verdict == "broken")
            run.write(base / "a" / names["trajectory"].format(slug))
            run.part(np.array([5, 10, 15, 20])).write(base / "a" / f"labels/{slug}.extxyz")
            evidence = {"labels": f"labels/{slug}.extxyz"}
            if verdict == "broken":
                run.part(np.array([19, 20])).write(base / "a" / f"failures/{slug}.extxyz")
                evidence["last_frames"] = f"failures/{slug}.extxyz"
            records.append(run_of(name, verdict, seed, evidence=evidence, trajectory=names["trajectory"].format(slug)))
    (base / "a").rename(base / "frames")
    folder = folder_of(base / "a", records)
    for kind in ("trajectories", "labels", "failures"):
        (base / "frames" / kind).rename(folder / kind)
    other = folder_of(
        base / "b",
        [run_of("ethanedioic acid", "drifting", model="mace", metrics={"energy_drift_meV_per_atom_per_ps": 9.0})],
    )
    return [folder, other]
