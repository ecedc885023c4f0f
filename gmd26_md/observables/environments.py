"""How far an atom's surroundings are from those that a model was trained on, in any space of features.

Two distances, each from the training environments of one element. Features are standardised: less their mean, over
their standard deviation. The nearest-neighbour distance is Euclidean. The Mahalanobis distance takes the covariance as
a probabilistic principal component analysis has it (Tipping, Bishop, J. R. Stat. Soc. B 61, 611, 1999): the variances
along the first components as they are, and one mean variance for all the others. So the covariance can be inverted
though features depend on each other or never vary, what leaves the training's subspace is far in proportion, and a
few dozen directions say it all. Shrinkage as Ledoit and Wolf's is for few data; here there are thousands of rows, the
shrinkage they would choose goes to zero, and what is left is the inverse of rounding errors.

Both are given in units of their median over held-out environments of the training molecules: 1 is what is usual there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = (*(i / 100 for i in range(100)), 0.995, 0.999, 1.0)
"""At which the distances of held-out environments are kept, for percentiles."""

MIN_ROWS = 10
"""Of training and of held-out environments of an element: fewer tell no spread."""

_SMALLEST_SCALE = 1e-2  # of the root mean square of all scales: what hardly varies in training is no unit to measure in
_SMALLEST_NOISE = 1e-4  # of the mean variance: float16 components leave some 1e-6
_AT_ONCE = 2000  # rows; bounds the memory of distances between all pairs


@dataclass(frozen=True, eq=False)
class Environments:
    """The training environments of one element, summed up.

    Attributes
    ----------
    mean, scale
        Of each feature, (n_features,).
    components
        Principal directions of the standardised features, orthonormal columns, (n_features, n_components).
    variances
        Along them, (n_components,).
    noise
        Variance along every other direction.
    kept
        Training environments drawn at random, as coordinates (`coordinates`), (n_kept, n_components + 1).
    nearest, mahalanobis
        Held-out distances at `LEVELS`, before the division by their median.
    n_train, n_heldout
        Environments that this rests on.
    """

    mean: Floats
    scale: Floats
    components: Floats
    variances: Floats
    noise: float
    kept: Floats
    nearest: Floats
    mahalanobis: Floats
    n_train: int
    n_heldout: int


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of some environments, (n,) each; infinite where the features are no numbers.

    Attributes
    ----------
    nearest, mahalanobis
        In units of the held-out median.
    nearest_percentile, mahalanobis_percentile
        Share of held-out environments that are nearer, 0 to 100.
    """

    nearest: Floats
    mahalanobis: Floats
    nearest_percentile: Floats
    mahalanobis_percentile: Floats


def fitted(
    train: Floats,
    heldout: Floats,
    *,
    n_kept: int = 600,
    max_components: int = 32,
    variance: float = 0.999,
    seed: int = 0,
) -> Environments:
    """Return the training environments of one element, summed up, and calibrated on held-out ones.

    Parameters
    ----------
    train, heldout
        Features, (n, n_features).
    n_kept
        Environments to keep for the nearest-neighbour distance: a random draw, as that keeps their density.
    max_components, variance
        As many directions as hold this part of the variance, but no more than this.
    seed
        Of the draw.

    Raises
    ------
    ValueError
        For fewer than `MIN_ROWS` of either, or features that are not finite.
    """
    if min(len(train), len(heldout)) < MIN_ROWS:
        raise ValueError(
            f"{len(train)} training and {len(heldout)} held-out environments; {MIN_ROWS} are needed of each"
        )
    if not (np.isfinite(train).all() and np.isfinite(heldout).all()):
        raise ValueError("some features are not finite")
    mean, spread = train.mean(axis=0), train.std(axis=0)
    typical = float(np.sqrt((spread**2).mean())) or 1.0
    mean, scale = _single(mean), _single(np.maximum(spread, _SMALLEST_SCALE * typical))
    rows = (train - mean) / scale
    total = float((rows**2).sum(axis=1).mean())
    directions = _directions(rows, max_components, variance, total)
    scores = rows @ directions
    variances = np.maximum((scores**2).mean(axis=0), 1e-12 * max(total, 1.0))
    n_features, n_components = directions.shape
    average = total / n_features if total > 0.0 else 1.0
    rest = max(total - float(variances.sum()), 0.0) / max(n_features - n_components, 1)
    drawn = np.random.default_rng(seed).permutation(len(rows))[:n_kept]
    kept = _half(_coordinates(rows[drawn], directions))
    noise = max(rest, _SMALLEST_NOISE * average)
    bare = Environments(
        mean, scale, directions, variances, noise, kept, np.zeros(0), np.zeros(0), len(train), len(heldout)
    )
    nearest, mahalanobis = (np.quantile(d, LEVELS) for d in _raw(bare, heldout))
    return Environments(mean, scale, directions, variances, noise, kept, nearest, mahalanobis, len(train), len(heldout))


def distances(environments: Environments, features: Floats) -> Distances:
    """Return the distances of environments of the same element, by their features, (n, n_features).

    Raises
    ------
    ValueError
        For another number of features.
    """
    if features.ndim != 2 or features.shape[1] != len(environments.mean):
        raise ValueError(f"want (n, {len(environments.mean)}) features, got {features.shape}")
    found = {name: np.full(len(features), np.inf) for name in ("nearest", "mahalanobis")}
    percentiles = {name: np.full(len(features), 100.0) for name in found}
    fine = np.isfinite(features).all(axis=1)
    for name, raw in zip(found, _raw(environments, features[fine]), strict=True):
        levels: Floats = getattr(environments, name)
        found[name][fine] = raw / _median(levels)
        percentiles[name][fine] = 100.0 * np.interp(raw, levels, LEVELS)
    return Distances(**found, **{f"{name}_percentile": values for name, values in percentiles.items()})


def orthonormal(directions: Floats) -> Floats:
    """Return columns that span the same space and are orthonormal, as near to the given ones as their order allows."""
    q, r = np.linalg.qr(directions)
    return np.asarray(q * np.where(np.diag(r) < 0.0, -1.0, 1.0), dtype=np.float64)


def _directions(rows: Floats, most: int, variance: float, total: float) -> Floats:
    """Return the principal directions of standardised rows as a file of half precision gives them back."""
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    values, vectors = values[::-1], vectors[:, ::-1]
    enough = int(np.searchsorted(np.cumsum(values), variance * total)) + 1
    n = max(1, min(enough, most, len(rows) - 1, rows.shape[1] - 1))
    return orthonormal(_half(vectors[:, :n]))


def _coordinates(rows: Floats, directions: Floats) -> Floats:
    """Return standardised rows as components and the distance from the space of these, (n, n_components + 1)."""
    scores = rows @ directions
    rest = np.linalg.norm(rows - scores @ directions.T, axis=1)
    return np.concatenate([scores, rest[:, None]], axis=1)


def _raw(environments: Environments, features: Floats) -> tuple[Floats, Floats]:
    """Return nearest-neighbour and Mahalanobis distances in units of standardised features.

    In the coordinates of `kept` the nearest-neighbour distance leaves out only whether two environments leave the
    subspace in one direction or in two: it is a lower bound.
    """
    found = _coordinates((features - environments.mean) / environments.scale, environments.components)
    squares = found[:, :-1] ** 2 / environments.variances
    mahalanobis = np.sqrt(squares.sum(axis=1) + found[:, -1] ** 2 / environments.noise)
    kept = environments.kept
    nearest = [
        ((some**2).sum(axis=1)[:, None] + (kept**2).sum(axis=1) - 2.0 * some @ kept.T).min(axis=1)
        for start in range(0, len(found), _AT_ONCE)
        for some in [found[start : start + _AT_ONCE]]
    ]
    return np.sqrt(np.maximum(np.concatenate([np.zeros(0), *nearest]), 0.0)), mahalanobis


def _median(levels: Floats) -> float:
    """Return the held-out median, one where it is zero: all held-out environments are then as the training's."""
    return float(levels[LEVELS.index(0.5)]) or 1.0


def _half(values: Floats) -> Floats:
    """Return values as a file of half precision gives them back."""
    largest = float(np.finfo(np.float16).max)
    return np.clip(values, -largest, largest).astype(np.float16).astype(np.float64)


def _single(values: Floats) -> Floats:
    """Return values as a file of single precision gives them back."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)
