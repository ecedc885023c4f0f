"""A space to measure distances in: SOAP, which no model knows of, or what one model says of atoms itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gmd26_md.descriptors.soap import Soap
from gmd26_md.errors import UserError

if TYPE_CHECKING:
    from gmd26_md.calculators.checkpoint import Checkpoint
    from gmd26_md.calculators.vendors.model import VendorModel

SOAP, MODEL = "soap", "model"
Describe = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of atomic numbers (n_atoms,) and positions (n_frames, n_atoms, 3), Å: features (n_frames, n_atoms, n_features)."""


@dataclass(frozen=True)
class Space:
    """A space of features of atoms.

    Attributes
    ----------
    kind
        `SOAP` or `MODEL`.
    identity
        What makes two sets of features comparable: settings, or the model's family and hash; JSON-safe.
    describe
        Gives the features. Those of an atom whose surroundings cannot be described are NaN.
    """

    kind: str
    identity: dict[str, Any]
    describe: Describe


def soap_space(settings: Soap) -> Space:
    """Return SOAP space.

    An atom of an element that the settings do not know, and any that sees such a one within the cutoff, has NaN.
    """

    def describe(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
        known = np.isin(numbers, settings.elements)
        found = np.full((*positions.shape[:2], settings.n_features), np.nan)
        if known.any():
            found[:, known] = settings.features(numbers[known], positions[:, known])
        if not known.all():
            offsets = positions[:, :, None] - positions[:, None, ~known]  # (n_frames, n_atoms, n_unknown, 3)
            found[(np.linalg.norm(offsets, axis=-1) < settings.cutoff_A).any(axis=2)] = np.nan
        return found

    return Space(SOAP, asdict(settings) | {"elements": list(settings.elements)}, describe)


def model_space(model: Checkpoint | VendorModel, name: str, *, device: str = "cpu", dtype: str = "float64") -> Space:
    """Return a model's own space.

    A molecule with an element that the model does not know has NaN everywhere: there is no saying how far it sees.

    Parameters
    ----------
    name
        What to call the model in a message.

    Raises
    ------
    UserError
        If the model shows no features.
    """
    from gmd26_md.calculators.checkpoint import Checkpoint
    from gmd26_md.calculators.device import choose_device
    from gmd26_md.calculators.latent import features_of, latent_features

    ours = model if isinstance(model, Checkpoint) else model.checkpoint
    if ours is None:
        raise UserError(
            f"{name} runs as a whole, by its own package, and shows no features of its atoms; measure in SOAP space "
            "alone, with --space soap."
        )
    features_of(ours.family)  # complain before anything is computed
    potential, family, elements = ours.potential(choose_device(device, dtype), dtype), ours.family, list(ours.elements)

    def describe(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
        if not np.isin(numbers, elements).all():
            return np.full((*positions.shape[:2], 1), np.nan)
        return latent_features(family, potential, numbers, positions)

    return Space(MODEL, {"family": family, "sha256": model.sha256}, describe)
