"""Which package wrote a model file, told by its content: names in the archive and in its pickle. Nothing is run."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

from gmd26_md.calculators.checkpoint_file import FORMAT, PLAIN
from gmd26_md.calculators.pickle_scan import words_of

_PLAIN = {name.replace(" ", ".") for name in PLAIN}


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Attributes
    ----------
    name
        "mace-model", "mace-script", "schnetpack-model", "schnetpack-lightning", "nequip", "nequip-compiled",
        "nequip-lightning", "state-dict"; or "mace-mliap", "mace-training" and "foreign", which cannot be opened.
    words
        The same for people, with an article.
    """

    name: str
    words: str


MACE_MODEL = Kind("mace-model", "a whole model pickled by mace-torch")
MACE_SCRIPT = Kind("mace-script", "a TorchScript model of mace-torch")
MACE_MLIAP = Kind("mace-mliap", "a model of mace-torch's made for the ML-IAP of LAMMPS")
MACE_TRAINING = Kind("mace-training", "a training state of mace-torch")
SCHNETPACK_MODEL = Kind("schnetpack-model", "a whole model pickled by schnetpack")
SCHNETPACK_LIGHTNING = Kind("schnetpack-lightning", "a Lightning checkpoint of schnetpack")
NEQUIP = Kind("nequip", "a package of nequip")
NEQUIP_COMPILED = Kind("nequip-compiled", "a compiled model of nequip")
NEQUIP_LIGHTNING = Kind("nequip-lightning", "a checkpoint of nequip-train")
STATE_DICT = Kind("state-dict", "a plain dictionary of weights")


def kind_of(content: bytes) -> Kind | None:
    """Return what a model file is; None where it is a checkpoint of ours, damaged, or no archive of torch's."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _kind_of_archive(archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, IndexError, KeyError):
        return None


def _kind_of_archive(archive: zipfile.ZipFile) -> Kind | None:
    names = archive.namelist()
    if any(name.endswith(".data/extern_modules") for name in names):  # of torch.package
        return NEQUIP if any("nequip" in name for name in names) else Kind("foreign", "a package of torch.package")
    if any("/aotinductor/" in name for name in names):
        told = [archive.read(name) for name in names if name.endswith("_metadata.json")]
        known = any(b'"type_names"' in text for text in told)
        return NEQUIP_COMPILED if known else Kind("foreign", "a model compiled by AOTInductor")
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        return None
    imports, texts = words_of(archive.read(pickles[0]))
    if any(name.endswith("/constants.pkl") for name in names):
        return _kind_of_script(imports)
    return _kind_of_pickle(imports, set(texts))


def _kind_of_script(imports: list[str]) -> Kind | None:
    """Tell a TorchScript archive by the class that it holds, its first name."""
    first = imports[0] if imports else ""
    if ".mace." in first:
        return MACE_SCRIPT
    if ".nequip." in first:
        return NEQUIP_COMPILED
    return Kind("foreign", f"a TorchScript model ({first.removeprefix('__torch__.') or 'of no class'})")


def _kind_of_pickle(imports: list[str], texts: set[str]) -> Kind | None:
    if FORMAT in texts:
        return None
    if "pytorch-lightning_version" in texts:
        if any(text.startswith("model.sole_model.") for text in texts):
            return NEQUIP_LIGHTNING
        of_spk = any(name.startswith("schnetpack.") for name in imports)
        return SCHNETPACK_LIGHTNING if of_spk else Kind("foreign", "a Lightning checkpoint")
    if imports and imports[0].startswith("mace.modules."):
        return MACE_MODEL
    if imports and imports[0].startswith("mace.calculators.lammps_mliap_mace."):
        return MACE_MLIAP
    if imports and imports[0].startswith("schnetpack.model."):
        return SCHNETPACK_MODEL
    if {"model", "optimizer", "lr_scheduler"} <= texts and any(t.startswith("interactions.0.") for t in texts):
        return MACE_TRAINING
    if imports and set(imports) <= _PLAIN:
        return STATE_DICT
    return None
