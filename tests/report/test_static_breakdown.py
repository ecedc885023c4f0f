"""Where errors sit, on molecules whose error was put in one place."""

import csv
import io

import numpy as np
import pytest

from gmd26_md import molecules
from gmd26_md.observables.atom_classes import EDGES_eV_PER_A, magnitude_words
from gmd26_md.observables.atom_forces import AtomForces
from gmd26_md.observables.bonds import bond_graph
from gmd26_md.observables.errors import FrameSums, pooled_with_spread
from gmd26_md.report.static_breakdown import DIMENSIONS, Measured, break_down, by_split
from gmd26_md.report.static_breakdown_table import breakdown_written, comma_separated, render_breakdown, rows_of


def measured(name, split, *, noise=0.01, factor_on_oxygen=1.0, n_frames=30):
    atoms = molecules.get(name).atoms()
    graph = bond_graph(atoms.numbers, atoms.positions)
    random = np.random.default_rng(len(atoms))
    reference = random.normal(size=(n_frames, len(atoms), 3))
    predicted = reference + noise * random.normal(size=reference.shape)
    predicted[:, atoms.numbers == 8] = factor_on_oxygen * reference[:, atoms.numbers == 8]
    energies = random.normal(size=n_frames)
    table = FrameSums.of(energies + 0.1 * random.normal(size=n_frames), energies, predicted, reference).table
    return Measured(molecules.get(name).name, split, table, AtomForces(graph, predicted, reference))


@pytest.fixture(scope="module")
def acids():
    """Return two acids that are right to the noise, and two diacids whose oxygen has forces too long by half."""
    return [
        *(measured(name, "id") for name in ("butanoic acid", "pentanoic acid")),
        *(measured(name, "ood", factor_on_oxygen=1.5) for name in ("butanedioic acid", "pentanedioic acid")),
    ]


@pytest.fixture(scope="module")
def found(acids):
    return break_down(acids, DIMENSIONS)


def row(found, dimension, key, split):
    (one,) = [r for r in found["by"][dimension] if (r["key"], r["split"]) == (key, split)]
    return one


def test_the_wrong_element_is_found_and_what_is_wrong_with_it(found):
    oxygen, carbon = row(found, "element", "O", "ood"), row(found, "element", "C", "ood")
    assert oxygen["force_magnitude_bias_ratio"]["value"] == pytest.approx(0.5)
    assert oxygen["force_direction_fraction"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert oxygen["force_mae_normalised_ratio"]["value"] > 30 * carbon["force_mae_normalised_ratio"]["value"]
    # noise of 0.01 per component has a mean absolute value of 0.008; 270 vectors a molecule
    assert carbon["force_mae_eV_per_A"]["value"] == pytest.approx(0.008, rel=0.1)


def test_the_error_sits_on_the_groups_and_nowhere_else(found):
    at = {r["key"]: r["force_mae_eV_per_A"]["value"] for r in found["by"]["bonds"] if r["split"] == "ood"}
    assert found["bonds_from"] == "the nearest functional group"
    assert list(at) == ["0", "1", "2", "3"]
    assert at["0"] > 10 * max(value for key, value in at.items() if key != "0")


@pytest.mark.parametrize("dimension", ["element", "bonds", "element-bonds", "length", "length-bonds", "atom"])
def test_the_parts_add_up_to_the_whole(found, dimension):
    for split in ("id", "ood"):
        parts = [r for r in found["by"][dimension] if r["split"] == split]
        weights = np.array([r["n_atoms"] * r["n_frames"] for r in parts])
        mean = np.average([r["force_mae_eV_per_A"]["value"] for r in parts], weights=weights)
        assert mean == pytest.approx(row(found, "total", "all atoms", split)["force_mae_eV_per_A"]["value"], rel=1e-12)


def test_the_whole_is_the_static_table_with_its_spread(acids, found):
    sums = [FrameSums(m.table) for m in acids if m.split == "ood"]
    published = pooled_with_spread(sums)
    whole = row(found, "total", "all atoms", "ood")
    for name in ("force_mae_eV_per_A", "force_cosine", "force_magnitude_mae_eV_per_A", "energy_mae_eV"):
        assert whole[name]["value"] == pytest.approx(published[name].value, rel=1e-9), name
    # two bootstraps of 500 each: three sigma of both together is 13 %
    spread = whole["force_mae_eV_per_A"]["standard_error"]
    assert spread == pytest.approx(published["force_mae_eV_per_A"].standard_error, rel=0.15)


def test_lengths_of_forces_are_binned_by_the_reference(acids, found):
    n_atoms = {r["key"]: r["n_atoms"] * r["n_frames"] for r in found["by"]["magnitude"] if r["split"] == "id"}
    lengths = np.concatenate([m.forces.reference_lengths.ravel() for m in acids if m.split == "id"])
    edges = [0.0, *EDGES_eV_PER_A, np.inf]
    share = np.histogram(lengths, edges)[0] / len(lengths)
    assert [n_atoms[magnitude_words(n)] / sum(n_atoms.values()) for n in range(5)] == pytest.approx(share.tolist())


def test_alkanes_are_counted_from_the_middle_of_the_chain():
    found = break_down([measured("butane", "id"), measured("heptane", "ood")], ["bonds"])
    assert found["bonds_from"] == "the middle of the chain"
    assert {r["key"] for r in found["by"]["bonds"]} == {"0", "1", "2", "3", "4"}


def test_a_hint_without_a_group_does_not_hide_the_groups_of_the_unseen():
    found = break_down([measured("butane", "id"), measured("butan-1-ol", "ood")], ["bonds"])
    assert [(r["key"], r["split"]) for r in found["by"]["bonds"]][-1] == ("no group", "id")


def test_summaries_have_the_classes_by_split(found):
    parts = by_split(found)
    assert list(parts) == ["id", "ood"]
    assert [r["key"] for r in parts["ood"]["element"]] == ["C", "H", "O"]


def test_the_table_has_a_row_a_class_and_id_beside_ood(found):
    heading, *rows = rows_of(found, "length")
    assert [r[0] for r in rows] == ["4 C", "5 C"]
    assert heading[1:3] == ["F MAE, eV/Å, ID", "F MAE, eV/Å, OOD"]
    assert all(" ± " in cell for cell in rows[0][1:])
    one = rows_of(found, "molecule")
    assert [r[:2] for r in one[1:]] == [
        ["butanedioic acid", "OOD"],
        ["butanoic acid", "ID"],
        ["pentanedioic acid", "OOD"],
        ["pentanoic acid", "ID"],
    ]


@pytest.mark.parametrize("width", [80, 110])
def test_text_fits_its_width_and_no_number_is_torn(found, width):
    text = render_breakdown(found, ("length", "element", "bonds", "molecule"), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "by bonds from the nearest functional group" in text
    numbers = rows_of(found, "bonds", spreads=False)[1]
    assert (numbers[1] if width == 110 else numbers[1].split(" ±")[0]) in text


def test_markdown_and_csv_say_the_same(found):
    table = breakdown_written(found, ["element"], "markdown")
    lines = list(csv.DictReader(io.StringIO(comma_separated([("m", found)], ["element"]))))
    oxygen = next(line for line in lines if (line["class"], line["split"]) == ("O", "ood"))
    value, error = (float(oxygen[f"force_mae_eV_per_A{end}"]) for end in ("", "_standard_error"))
    assert f"{value:.4f} ± {error:.4f}" in table


def test_a_model_without_error_has_nothing_to_share_out():
    exact = measured("butanoic acid", "id", noise=0.0)
    table = rows_of(break_down([exact], ["total"]), "total")
    assert table[1][-1] == "-"
    assert table[1][1] == "0.0000 ± 0.0000"


def test_nothing_measured_is_refused():
    with pytest.raises(ValueError, match="nothing to break down"):
        break_down([])
