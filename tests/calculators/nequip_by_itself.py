"""What nequip makes and computes by itself, in processes of its own: it configures the whole process that it runs in.

python nequip_by_itself.py build FOLDER    models by its builder, and what its ASE calculator says of molecules
python nequip_by_itself.py train FOLDER    files by `nequip-train` and `nequip-package`, and the same of those
python nequip_by_itself.py compile FOLDER  what was trained there by `nequip-compile` (AOTInductor), and the same of it
python nequip_by_itself.py script FOLDER   a model as TorchScript, which torch from 2.10 on lets no `nequip-compile` do;
                                           nequip's own function still does; less the text of its source. This made
                                           compiled.nequip.pth and compiled.npz beside this file.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

TYPES = ["C", "H", "O"]  # not by atomic number, so that their order tells
SMALL = {"r_max": 4.0, "num_features": 4, "radial_mlp_width": 8, "num_layers": 2, "avg_num_neighbors": 7.5}
BUILT = {
    "parity": SMALL | {"l_max": 1, "parity": True},
    "degrees": SMALL | {"l_max": 2, "parity": False, "num_features": [6, 4, 2], "num_layers": 3, "r_max": 5.0},
    "one layer, no directions": SMALL | {"l_max": 0, "num_layers": 1},
    "by type": SMALL
    | {
        "l_max": 1,
        "radial_mlp_depth": 2,
        "num_bessels": 5,
        "polynomial_cutoff_p": 4,
        "type_embed_num_features": 3,
        "readout_mlp_hidden_layers_depth": 1,
        "readout_mlp_hidden_layers_width": 7,
        "readout_mlp_nonlinearity": "mish",
        "avg_num_neighbors": {"C": 7.0, "H": 5.0, "O": 6.0},
        "per_type_energy_scales": {"C": 1.5, "H": 0.7, "O": 1.1},
    },
}
STATISTICS = {
    "avg_num_neighbors": "${training_data_stats:num_neighbors_mean}",
    "per_type_energy_scales": "${training_data_stats:forces_rms}",
    "per_type_energy_shifts": "${training_data_stats:per_atom_energy_mean}",
}
BY_TYPE = {
    "avg_num_neighbors": {"C": 7.0, "H": 5.0, "O": 6.0},
    "per_type_energy_scales": {"C": 1.5, "H": 0.7, "O": 1.1},
    "per_type_energy_shifts": {"C": -40.0, "H": -10.0, "O": -100.0},
}
TRAINED = {
    "averaged": ("EMALightningModule", SMALL | STATISTICS | {"l_max": 1, "parity": True, "model_dtype": "float64"}),
    "learned-shifts": (
        "EMALightningModule",
        SMALL | BY_TYPE | {"l_max": 1, "model_dtype": "float64", "bessel_trainable": True}
        | {"per_type_energy_shifts_trainable": True, "per_type_energy_scales_trainable": True},
    ),
    "float32": (
        "NequIPLightningModule",
        SMALL | BY_TYPE | {"l_max": 2, "num_features": [4, 3, 2], "parity": False, "model_dtype": "float32"},
    ),
}  # fmt: skip


def molecules() -> list[Atoms]:
    """Molecules smaller and larger than the cutoff, and atoms beyond it; shaken, so that no force is zero."""
    far = molecule("H2O")
    far.translate((30.0, 0.0, 0.0))
    out = [molecule("H2O"), molecule("CH3CH2OH"), molecule("trans-butane"), molecule("CH3COOH") + far]
    for n, atoms in enumerate(out):
        atoms.rattle(0.05, seed=n)
    return out


def answers(calculator) -> list[tuple[float, np.ndarray]]:
    """Return energies, eV, and forces, eV/Å, by an ASE calculator."""
    out = []
    for atoms in molecules():
        atoms.calc = calculator
        out.append((atoms.get_potential_energy(), atoms.get_forces()))
    return out


def keep(found: list[tuple[float, np.ndarray]], path: Path) -> None:
    np.savez(path, energies=[e for e, _ in found], **{f"forces_{i}": f for i, (_, f) in enumerate(found)})


def kept(path: Path) -> list[tuple[float, np.ndarray]]:
    content = np.load(path)
    return [(float(e), content[f"forces_{i}"]) for i, e in enumerate(content["energies"])]


def build(folder: Path) -> None:
    import torch
    from nequip.integrations.ase import NequIPCalculator
    from nequip.integrations.utils import basic_transforms
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    set_global_state()
    for name, settings in BUILT.items():
        model = NequIPGNNModel(seed=5, model_dtype="float64", type_names=TYPES, **settings).eval()
        torch.save(model.model.func.state_dict(), folder / f"{name}.pt")
        transforms = basic_transforms(model.metadata, settings["r_max"], TYPES, {t: t for t in TYPES})
        keep(answers(NequIPCalculator(model, "cpu", transforms=transforms)), folder / f"{name}.npz")


def train(folder: Path) -> None:
    from nequip.integrations.ase import NequIPCalculator

    stream = np.random.default_rng(0)
    frames = []
    for atoms in molecules()[1:3] * 6:
        atoms.positions += stream.normal(scale=0.05, size=atoms.positions.shape)
        labels = {"energy": stream.normal(), "forces": stream.normal(size=atoms.positions.shape)}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    water = molecules()[0]
    water.calc = SinglePointCalculator(water, energy=0.1, forces=np.ones((3, 3)))
    write(folder / "frames.xyz", [*frames, water, water, water, water], format="extxyz")
    tools, made = Path(sys.executable).parent, [folder / f"{name}/last.ckpt" for name in TRAINED]
    together(
        [tools / "nequip-train", "-cp", settings_file(folder, name), "-cn", name, f"hydra.run.dir={folder / name}"]
        for name in TRAINED
    )
    together(
        [tools / "nequip-package", "build", path, path.with_name("packaged.nequip.zip")] for path in (made[0], made[2])
    )
    for path in sorted([*made, *folder.glob("*/packaged.nequip.zip")]):
        keep(answers(NequIPCalculator._from_saved_model(path)), path.with_suffix(".npz"))


def compile(folder: Path) -> None:
    """nequip compares with the original itself, but has no cell for the stress of a molecule: told not to."""
    tool, path = Path(sys.executable).with_name("nequip-compile"), folder / "averaged/ase.nequip.pt2"
    os.environ["NEQUIP_SKIP_AOTI_MODEL_CHECK"] = "1"
    how = ["--mode", "aotinductor", "--device", "cpu", "--target", "ase"]
    together([[tool, folder / "averaged/last.ckpt", path, *how]])
    keep_compiled(path)


def script(folder: Path) -> None:
    import torch
    from nequip.model import NequIPGNNModel
    from nequip.model.inference_models.torchscript import save_torchscript_model
    from nequip.utils.global_state import set_global_state

    set_global_state()
    cutoffs = {"H": 2.5, "C": {"H": 2.8}}
    by_type = {name: BY_TYPE[name] for name in ("per_type_energy_scales", "per_type_energy_shifts")}
    model = NequIPGNNModel(
        seed=5, model_dtype="float64", type_names=TYPES, per_edge_type_cutoff=cutoffs, l_max=1, parity=False,
        **SMALL, **by_type,
    )  # fmt: skip
    path = folder / "compiled.nequip.pth"
    save_torchscript_model(model.eval(), {**model.metadata, "allow_tf32": "0"}, str(path), torch.device("cpu"))
    whole = path.rename(folder / "whole.nequip.pth")
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as lean:
        for name in archive.namelist():
            if not name.endswith(".debug_pkl"):
                lean.writestr(zipfile.ZipInfo(name), archive.read(name), zipfile.ZIP_DEFLATED)
    keep_compiled(path)


def keep_compiled(path: Path) -> None:
    """Keep what nequip's ASE calculator says with a compiled model."""
    from nequip.integrations.ase import NequIPCalculator

    names = {name: name for name in TYPES}
    calculator = NequIPCalculator.from_compiled_model(str(path), chemical_species_to_atom_type_map=names)
    keep(answers(calculator), path.with_name(path.name.partition(".")[0] + ".npz"))


def together(commands) -> None:
    """Run commands side by side, and raise with what one says that fails."""
    running = [
        subprocess.Popen([str(word) for word in c], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for c in commands
    ]
    said = [(process.communicate()[0], process.returncode) for process in running]
    for text, code in said:
        assert code == 0, text


def settings_file(folder: Path, name: str) -> Path:
    """Write the settings of a training of one epoch and return the folder that they are in. JSON is YAML."""
    training_module, model = TRAINED[name]
    loader = {"_target_": "torch.utils.data.DataLoader", "batch_size": 4}
    where = "nequip.data.transforms."
    transforms = [
        {"_target_": f"{where}ChemicalSpeciesToAtomTypeMapper", "model_type_names": TYPES},
        {"_target_": f"{where}NeighborListTransform", "r_max": SMALL["r_max"]},
    ]
    data = {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": 1,
        "split_dataset": {"file_path": str(folder / "frames.xyz"), "train": 12, "val": 4},
        "transforms": transforms,
        "train_dataloader": loader,
        "val_dataloader": loader,
        "stats_manager": {"_target_": "nequip.data.CommonDataStatisticsManager", "type_names": TYPES},
    }
    callback = {
        "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
        "save_last": True,
        "dirpath": str(folder / name),
    }
    trainer = {
        "_target_": "lightning.Trainer",
        "accelerator": "cpu",
        "max_epochs": 2,
        "logger": False,
        "enable_progress_bar": False,
        "callbacks": [callback],
    }
    metrics = {"_target_": "nequip.train.EnergyForceMetrics"}
    module = {
        "_target_": f"nequip.train.{training_module}",
        "loss": {"_target_": "nequip.train.EnergyForceLoss"},
        "train_metrics": metrics,
        "val_metrics": metrics,
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
        "model": {"_target_": "nequip.model.NequIPGNNModel", "seed": 3, "type_names": TYPES, **model},
    }
    settings = {"run": ["train"], "data": data, "trainer": trainer, "training_module": module, "global_options": {}}
    at = folder / "settings"
    at.mkdir(exist_ok=True)
    (at / f"{name}.yaml").write_text(json.dumps(settings))
    return at


if __name__ == "__main__":
    {"build": build, "train": train, "compile": compile, "script": script}[sys.argv[1]](Path(sys.argv[2]))
