"""Run as a script: one stability run, killed in four places one after the other, and the same run undisturbed.

Arguments: the disturbed run folder, the undisturbed one, then a command line without --out. Every run is a
forked child of this process, which itself computes nothing; prints what became of each as JSON.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from gmd26_md import cli
from gmd26_md.dynamics import loop
from gmd26_md.dynamics.forces import PotentialForces
from gmd26_md.dynamics.state import Track
from gmd26_md.reference.beside import LabelsBeside
from gmd26_md.run_folder import RunFolder


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_in_static_errors(folder: RunFolder) -> None:
    """Ctrl-C when the first molecule is done."""
    add = RunFolder.add
    RunFolder.add = lambda self, record: (add(self, record), os.kill(os.getpid(), signal.SIGINT))


def kill_in_dynamics(folder: RunFolder) -> None:
    """Die in the second batch, at its third snapshot."""
    save, seen = loop.snapshot.save, []

    def save_and_die(*arguments: object) -> None:
        save(*arguments)
        if any(r.protocol == "stability" for r in folder.records()):
            seen.append(1)
        if len(seen) == 3:
            kill()

    loop.snapshot.save = save_and_die


def kill_in_labelling(folder: RunFolder) -> None:
    """Go on from the snapshot, and die when its dynamics are over."""
    load = loop.snapshot.load

    def load_and_tell(path: Path, tracks: dict[str, Track]) -> object:
        found = load(path, tracks)
        at = [[tracks[key].segment, tracks[key].n_done] for key in found.moving] if found else None
        (folder.path.parent / "resumed-at.json").write_text(json.dumps(at))
        return found

    loop.snapshot.load = load_and_tell
    LabelsBeside.take = lambda *arguments, **more: kill()


def kill_between_records(folder: RunFolder) -> None:
    """Die when the batch has its first record; its dynamics must not be run again."""
    add = RunFolder.add
    RunFolder.add = lambda self, record: (add(self, record), kill())
    forbid_dynamics(folder)


def forbid_dynamics(folder: RunFolder) -> None:
    """Let no dynamics run: they are all done."""

    def refuse(*arguments: object, **more: object) -> None:
        raise RuntimeError("dynamics that were finished are run again")

    loop.advance = refuse


def nothing(folder: RunFolder) -> None:
    """Disturb nothing."""


def run(disturb, folder: Path, arguments: list[str]) -> dict[str, object]:
    """Run the command in a child; return how it ended and the records it left."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        torch.set_num_threads(1)
        loop._SNAPSHOT_EVERY_S = 0.0
        PotentialForces.capacity = lambda self: 2.0 * 8 * 8  # two molecules of eight atoms a batch
        disturb(RunFolder(folder))
        try:
            cli.main([*arguments, "--quiet", "--out", str(folder)])
        except SystemExit as end:
            sys.stderr.flush()
            os._exit(end.code or 0)
    _, status = os.waitpid(child, 0)
    records = folder / "records.jsonl"
    return {
        "disturbed_by": disturb.__name__,
        "status": os.waitstatus_to_exitcode(status),
        "records": records.read_text(encoding="utf-8").splitlines() if records.exists() else [],
    }


def main(disturbed: str, undisturbed: str, *arguments: str) -> None:
    steps = [interrupt_in_static_errors, kill_in_dynamics, kill_in_labelling, kill_between_records, forbid_dynamics]
    ends = [run(step, Path(disturbed), list(arguments)) for step in steps]
    ends.append(run(nothing, Path(undisturbed), list(arguments)))
    sys.stdout.write(json.dumps(ends))


if __name__ == "__main__":
    main(*sys.argv[1:])
