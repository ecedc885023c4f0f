"""The static errors that a run folder holds, by frame and by atom."""

from __future__ import annotations

from gmd26_md.errors import UserError
from gmd26_md.report.static_breakdown import Measured
from gmd26_md.run_folder import RunFolder


def measured_in(folder: RunFolder) -> list[Measured]:
    """Return the static errors of every molecule in a run folder.

    Raises
    ------
    UserError
        Where there are none, or they were made before forces were kept by atom.
    """
    records = [r for r in folder.records() if r.protocol == "static-errors"] if folder.path.is_dir() else []
    if not records:
        raise UserError(f"{folder.path} has no static errors; give a folder that static-errors or stability made.")
    tables, found = folder.static_tables(), []
    for record in records:
        table, forces = tables.get(record.slug), folder.forces_of(record.slug)
        if table is None or forces is None:
            raise UserError(
                f"{folder.path} has no forces by atom of {record.molecule}: it was made before they were kept. "
                "Give the command that made it again, and they are added."
            )
        found.append(Measured(record.molecule, record.split, table, forces))
    return found
