"""`python -m gmd26_md.training`: train without the full command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gmd26_md.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the arguments say; return the exit code, 2 for a user's mistake."""
    options = _parser().parse_args(arguments)
    import torch

    from gmd26_md.training.recipe import load_recipe
    from gmd26_md.training.train import train

    if options.threads is not None:
        torch.set_num_threads(options.threads)  # this process is ours
    changed = {} if options.seed is None else {"seed": options.seed}
    try:
        best = train(
            options.task,
            load_recipe(options.recipe or options.family, **changed),
            options.data,
            options.out,
            level_of_theory=options.level,
            minutes=options.minutes,
            device=options.device,
            on_progress=_report,
        )
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{best}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gmd26_md.training", description=__doc__)
    parser.add_argument("--family", default="deepset-moe", help="family, for its packaged recipe")
    parser.add_argument("--recipe", help="recipe file, in place of the family's own")
    parser.add_argument("--task", default="duplication")
    parser.add_argument("--data", default="data", help="folder with <level>/<molecule>/primary.extxyz")
    parser.add_argument("--level", default="gfn2-xtb", help="level of theory of the data")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, help="time budget")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    return parser


def _report(progress: object) -> None:
    from gmd26_md.training.loop import Progress

    if isinstance(progress, Progress) and progress.validation is not None:
        errors = progress.validation
        sys.stderr.write(
            f"{progress.elapsed_s:7.0f} s  step {progress.step:6d}  {progress.steps_per_s:6.1f}/s  "
            f"lr {progress.learning_rate:.1e}  loss {progress.train_loss:.4f}  F {errors.force_mae_eV_per_A:.4f} eV/Å  "
            f"E {errors.energy_mae_eV:.4f} ({errors.energy_mae_offset_removed_eV:.4f}) eV  "
            f"left {progress.eta_s:.0f} s\n"
        )
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
