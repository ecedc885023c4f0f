"""Files of schnetpack that people have, written by its own Trainer: the same numbers as schnetpack's own forward."""

from __future__ import annotations

import warnings
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from gmd26_md import load_calculator, load_checkpoint
from gmd26_md.calculators._schnetpack import import_schnetpack, schnetpack_imports
from gmd26_md.calculators.checkpoint import save_checkpoint
from gmd26_md.calculators.model_file import open_model_file
from gmd26_md.calculators.side_effects import contained
from gmd26_md.calculators.vendors.agreement import complaint
from gmd26_md.calculators.vendors.agreement import test_batch as batch_for_a_test
from gmd26_md.calculators.vendors.convert import converted
from gmd26_md.calculators.vendors.schnetpack_model import vendor_answer
from gmd26_md.calculators.vendors.weights import of_weights
from gmd26_md.errors import UserError

ALONE = {1: -250.0, 6: -1130.0, 8: -2370.0}  # kcal/mol
KCAL_PER_MOL = 0.0433641  # eV
UNITS = {"energy": "kcal/mol", "forces": "kcal/mol/Ang"}


def network(kind: str = "PaiNN", *, cutoff_fn: str = "CosineCutoff", heads: int = 1, offsets: bool = True, **changed):
    """Return a model as schnetpack's configuration files make it."""
    spk = import_schnetpack()
    layers = spk.nn
    representation = getattr(spk.representation, kind)(
        n_atom_basis=8,
        n_interactions=2,
        radial_basis=layers.GaussianRBF(n_rbf=6, cutoff=4.0),
        cutoff_fn=getattr(layers, cutoff_fn)(4.0),
        **changed,
    )
    head = spk.atomistic.Atomwise(n_in=8, output_key="energy")
    more = [spk.atomistic.Aggregation(keys=["energy"], output_key="sum")] if heads > 1 else []
    key = "sum" if heads > 1 else "energy"
    steps = [spk.transform.CastTo64()]
    if offsets:
        steps.append(spk.transform.AddOffsets(key, add_mean=True, add_atomrefs=True))
        steps[-1].mean = torch.tensor([-80.5])
        steps[-1].atomref = torch.tensor([ALONE.get(z, 0.0) for z in range(100)])
    return spk.model.NeuralNetworkPotential(
        representation=representation,
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[head, *more, spk.atomistic.Forces(energy_key=key)],
        postprocessors=steps,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Return a folder in which schnetpack's Trainer has left best_model and a Lightning checkpoint, last.ckpt."""
    folder = tmp_path_factory.mktemp("spk")
    import_schnetpack()
    with chdir(folder), contained(), schnetpack_imports(), warnings.catch_warnings():  # it leaves a lock where it is
        warnings.simplefilter("ignore")
        import pytorch_lightning
        import schnetpack as spk
        import schnetpack.data
        import schnetpack.task
        import schnetpack.train

        torch.manual_seed(5)
        frames, stream = [molecule("CH3COOH") for _ in range(6)], np.random.default_rng(1)
        labels = []
        for atoms in frames:
            atoms.positions += stream.normal(scale=0.05, size=atoms.positions.shape)
            energy = sum(ALONE[z] for z in atoms.numbers) - 650.0 + stream.normal()
            labels.append({"energy": np.array([energy]), "forces": stream.normal(size=(len(atoms), 3))})
        table = [ALONE.get(z, 0.0) for z in range(100)]
        data = schnetpack.data.ASEAtomsData.create(
            str(folder / "d.db"), distance_unit="Ang", property_unit_dict=UNITS, atomrefs={"energy": table}
        )
        data.add_systems(labels, frames)
        module = schnetpack.data.AtomsDataModule(
            str(folder / "d.db"), batch_size=2, num_train=4, num_val=2, distance_unit="Ang", property_units=UNITS,
            num_workers=0, split_file=None, pin_memory=False,
            transforms=[
                spk.transform.ASENeighborList(cutoff=4.0),
                spk.transform.RemoveOffsets("energy", remove_mean=True, remove_atomrefs=True),
                spk.transform.CastTo32(),
            ],
        )  # fmt: skip
        model = network(offsets=False)
        model.postprocessors.append(spk.transform.AddOffsets("energy", add_mean=True, add_atomrefs=True))
        loss = torch.nn.MSELoss()
        outputs = [schnetpack.task.ModelOutput(name=n, loss_fn=loss, metrics={}) for n in UNITS]
        task = schnetpack.task.AtomisticTask(model=model, outputs=outputs, optimizer_args={"lr": 1e-3})
        keep = schnetpack.train.ModelCheckpoint(
            model_path=str(folder / "best_model"), monitor="val_loss", dirpath=str(folder), filename="last"
        )
        trainer = pytorch_lightning.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, callbacks=[keep], enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(task, datamodule=module)
    return folder


def systems() -> list[Atoms]:
    found = [molecule("CH3COOH"), molecule("CH3CH2OH"), molecule("trans-butane")]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.05, seed=seed)
    return found


def by_schnetpack(model) -> list[tuple[float, np.ndarray]]:
    """What schnetpack's converter, neighbour list, forward and forces give, in eV and eV/Å.

    Its SpkCalculator is passed by: it loads with torch.load, which torch refuses since 2.6.
    """
    spk = import_schnetpack()
    convert = spk.interfaces.AtomsConverter(
        neighbor_list=spk.transform.ASENeighborList(cutoff=4.0), dtype=torch.float64
    )
    own = model.double().eval()
    found = [own(convert(atoms)) for atoms in systems()]
    key = next(k for k in ("sum", "energy") if k in found[0])
    unit = spk.units.convert_units("kcal/mol", "eV")
    return [(float(f[key].detach()) * unit, f["forces"].detach().numpy() * unit) for f in found]


def assert_same(source, wanted, dtype: str = "float64", tolerance: float = 1e-8, **how) -> None:
    calculator = load_calculator(source, device="cpu", dtype=dtype, **how)
    assert max(np.abs(forces).max() for _, forces in wanted) > 1e-3, "if this fails, there are no forces to compare"
    for atoms, (energy, forces) in zip(systems(), wanted, strict=True):
        assert calculator.get_property("energy", atoms) == pytest.approx(energy, rel=0, abs=tolerance)
        np.testing.assert_allclose(calculator.get_property("forces", atoms), forces, rtol=0, atol=tolerance)


KCAL = {"energy_unit": "kcal/mol"}


@pytest.mark.parametrize("name", ["best_model", "last.ckpt"])
def test_what_the_trainer_left_gives_schnetpacks_own_numbers(trained, tmp_path, name):
    import_schnetpack()
    model = torch.load(trained / "best_model", weights_only=False)
    assert float(model.postprocessors[1].mean) != 0.0, "if this fails, the trainer set no offset and none is tested"
    wanted = by_schnetpack(model)
    path = trained / name
    with pytest.raises(UserError, match=r"schnetpack: .*nothing in it was run"):
        open_model_file(path)
    # what remains are sums in another order, of thousands of eV; in float32 seven digits of the part that moves
    assert_same(path, wanted, trust_pickle=True, arguments=KCAL)
    assert_same(path, wanted, "float32", 2e-4, trust_pickle=True, arguments=KCAL)
    checkpoint = converted(path, trust_pickle=True, arguments=KCAL)
    assert (checkpoint.family, checkpoint.elements) == ("painn", (1, 6, 8))
    save_checkpoint(checkpoint, tmp_path / "model.pt")
    assert load_checkpoint(tmp_path / "model.pt").element_energies[1] < -250 * KCAL_PER_MOL
    assert_same(tmp_path / "model.pt", wanted)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"kind": "SchNet"}, ""),
        ({"kind": "SchNet", "activation": torch.nn.functional.silu, "shared_interactions": True}, ""),
        ({"shared_filters": True, "shared_interactions": True}, ""),
        ({"cutoff_fn": "MollifierCutoff"}, "its cutoff function is MollifierCutoff"),
        ({"activation": torch.tanh}, "activation"),
        ({"epsilon": 1e-2}, "energies differ"),  # not among our hyperparameters: only the comparison can notice
        ({"heads": 2}, "no sum of one atomwise network"),
    ],
)
def test_every_variant_gives_schnetpacks_own_numbers_as_ours_or_as_a_whole(tmp_path, changed, why):
    torch.manual_seed(2)
    model = network(**changed)
    torch.save(model, tmp_path / "best_model")
    opened = open_model_file(tmp_path / "best_model", trust_pickle=True, arguments=KCAL)
    assert (opened.checkpoint is None) == bool(why), opened.why_whole
    assert why in opened.why_whole
    assert_same(tmp_path / "best_model", by_schnetpack(model), trust_pickle=True, arguments=KCAL)


def test_what_a_file_does_not_say_is_asked_for(tmp_path):
    torch.save(network(offsets=False), tmp_path / "best_model")
    for arguments, said in (
        ({}, "does not say the unit of its energies"),
        (KCAL, "does not say which elements it knows; say it, --model-arg elements=H,C,O"),
        ({**KCAL, "elements": "H,X"}, "write their symbols"),
        ({"energy_unit": "furlong", "elements": "H"}, "'furlong' is no unit of energy; allowed are eV, kcal/mol"),
        *(({"energy_unit": unit, "elements": "H"}, "no unit of energy") for unit in ("Ang", "kcal/mol/Bohr", -3, True)),
        ({**KCAL, "elements": "H", "position_unit": "furlong"}, "knows no unit 'furlong'; write Ang"),
        ({**KCAL, "elements": "H", "position_unit": "Bohr"}, "positions in Bohr"),
        ({"unit": "eV"}, "unknown argument of best_model 'unit'"),
    ):
        with pytest.raises(UserError, match=said):
            open_model_file(tmp_path / "best_model", trust_pickle=True, arguments=arguments)
    known = open_model_file(tmp_path / "best_model", trust_pickle=True, arguments={**KCAL, "elements": "C,H"})
    assert known.elements == (1, 6)


def test_a_model_that_gives_no_numbers_is_called_that(tmp_path):
    model = network()
    model.representation.embedding.weight.data[1] = float("nan")
    torch.save(model, tmp_path / "best_model")
    with pytest.raises(UserError, match="own energies or forces are not finite; training diverged"):
        open_model_file(tmp_path / "best_model", trust_pickle=True, arguments=KCAL)


def test_a_scaled_energy_is_refused(tmp_path):
    spk = import_schnetpack()
    model = network()
    model.postprocessors.append(spk.transform.ScaleProperty("energy"))
    torch.save(model, tmp_path / "best_model")
    with pytest.raises(UserError, match="ends with ScaleProperty on its energy"):
        open_model_file(tmp_path / "best_model", trust_pickle=True, arguments=KCAL)


@pytest.mark.parametrize(("kind", "more"), [("SchNet", "n_filters = 8"), ("PaiNN", 'radial_basis = "gaussian"')])
def test_weights_as_schnetpack_saves_them_become_a_checkpoint(tmp_path, kind, more):
    """Its embedding has a row for every element up to 100."""
    model = network(kind, offsets=False).eval()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    hyperparameters = f"cutoff = 4.0\nn_atom_basis = 8\nn_interactions = 2\nn_rbf = 6\n{more}"
    (tmp_path / "hyper.toml").write_text(f'elements = ["H", "C", "O"]\n[hyperparameters]\n{hyperparameters}')
    checkpoint = of_weights(tmp_path / "weights.pt", kind.lower(), tmp_path / "hyper.toml")
    assert checkpoint.state_dict["representation.embedding.weight"].shape == (9, 8)
    batch = batch_for_a_test(checkpoint.elements, 4.0)
    wanted = vendor_answer(model.double(), "energy", 1.0, batch)
    assert complaint(checkpoint.potential, wanted, batch, 1e-9) == ""
