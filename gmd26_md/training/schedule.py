"""How far a run is, and the learning rate there: whichever of steps and minutes binds, the rate anneals to its end."""

from __future__ import annotations

import math

from gmd26_md.training.recipe import Recipe


def progress(step: int, elapsed_s: float, n_steps: int, minutes: float | None) -> float:
    """Return the fraction of the run that is behind, 0 to 1: of the steps or of the minutes, the larger one.

    Without `minutes` it depends on the step alone, and a run is exactly reproducible.
    """
    of_steps = step / n_steps
    of_time = elapsed_s / (60.0 * minutes) if minutes is not None else 0.0
    return min(1.0, max(of_steps, of_time))


def learning_rate(step: int, fraction: float, recipe: Recipe) -> float:
    """Return the rate of the step that comes next: a linear warm-up in steps times a cosine in the fraction."""
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    low = recipe.final_learning_rate_fraction
    cosine = low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * fraction))
    return recipe.learning_rate * warmup * cosine
