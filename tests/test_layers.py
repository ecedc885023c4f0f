"""Imports point down only: who may know whom, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gmd26_md

ROOT = Path(gmd26_md.__file__).parent
VENDORS = {"schnetpack", "mace", "nequip", "e3nn", "tblite", "pyscf"}
HEAVY = {"torch", *VENDORS}

# room -> rooms that it must not know
FORBIDDEN = {
    "calculators": {"dynamics", "protocols", "datasets", "reference", "training", "report", "evaluate", "commands"},
    "models": {"calculators", "dynamics", "protocols", "datasets", "reference", "training", "report", "evaluate"},
    "dynamics": {"protocols", "datasets", "reference", "training", "report", "records", "evaluate", "commands"},
    "reference": {"protocols", "datasets", "training", "report", "records", "evaluate", "commands"},
    "observables": {"calculators", "models", "dynamics", "reference", "datasets", "protocols", "training", "report"},
    "descriptors": {"dynamics", "protocols", "datasets", "reference", "training", "report", "evaluate", "commands"},
    "datasets": {"protocols", "training", "report", "evaluate", "commands"},
    "training": {"protocols", "report", "records", "evaluate", "commands"},
    "protocols": {"models", "training", "report", "records", "evaluate", "commands", "run_folder"},
    "report": {"calculators", "models", "dynamics", "reference", "datasets", "training", "protocols", "evaluate"},
    "page": {
        "calculators",
        "models",
        "dynamics",
        "reference",
        "datasets",
        "training",
        "protocols",
        "evaluate",
        "commands",
    },
    "evaluate": {"models", "training", "commands", "cli"},
}
ALLOWED = {("models", "gmd26_md.calculators.batch")}  # what a network is given; it knows nothing itself
LIGHT = (
    *("molecules", "tasks", "trajectory", "metrics", "records", "observables", "errors", "files", "seeds"),
    *("constitution", "leakage", "own_molecules", "structure_files", "task_entries", "task_file", "task_source"),
)


def modules():
    """Return every module of the package with its syntax tree, by dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(tree, *, at_import_only=False):
    """Return the dotted names that a module imports, `from a import b` as both a and a.b."""
    names = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        for child in ast.iter_child_nodes(node):
            if not (at_import_only and runs_later(child)):
                waiting.append(child)
    return names


def runs_later(node):
    checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    return checking or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def room_of(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "gmd26_md" and len(parts) > 1 else ""


MODULES = modules()


def test_the_modules_are_found():
    assert len(MODULES) > 60
    assert FORBIDDEN.keys() <= {room_of(name) for name in MODULES}
    assert "gmd26_md.dynamics.engine" in imports(MODULES["gmd26_md.datasets.sample"])


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_knows_only_rooms_below(room):
    wrong = {
        (name, imported)
        for name, tree in MODULES.items()
        if room_of(name) == room
        for imported in imports(tree)
        if room_of(imported) in FORBIDDEN[room]
        and not any(room == at and imported.startswith(allowed) for at, allowed in ALLOWED)
    }
    assert not wrong


@pytest.mark.parametrize("room", LIGHT)
def test_a_light_room_needs_no_torch_and_no_vendor(room):
    reached, waiting = set(), [name for name in MODULES if room_of(name) == room]
    while waiting:  # what it imports imports too
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        imported = imports(MODULES[name], at_import_only=True)
        assert not {i for i in imported if i.split(".")[0] in HEAVY}, name
        waiting += [i for i in imported if i in MODULES]


def test_only_calculators_know_vendors_and_only_in_functions():
    for name, tree in MODULES.items():
        known = {i.split(".")[0] for i in imports(tree)} & VENDORS
        assert not known or room_of(name) == "calculators", (name, known)
        assert not {i.split(".")[0] for i in imports(tree, at_import_only=True)} & VENDORS, name


def test_reports_and_records_know_no_torch():
    for name, tree in MODULES.items():
        if room_of(name) in ("report", "records", "page"):
            assert not {i.split(".")[0] for i in imports(tree)} & HEAVY, name


def test_there_are_no_import_cycles():
    edges = {name: imports(tree, at_import_only=True) & MODULES.keys() - {name} for name, tree in MODULES.items()}
    packages = {name for name in MODULES if (ROOT.parent / Path(*name.split(".")) / "__init__.py").is_file()}
    done = set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for other in edges[name]:
            # a package named on the way to its own submodule is loaded already, with nothing in it
            if other not in packages or any(isinstance(n, ast.ImportFrom) for n in ast.walk(MODULES[other])):
                visit(other, [*path, name])
        done.add(name)

    for name in MODULES:
        visit(name, [])


def test_the_command_line_starts_without_anything_heavy():
    code = "import sys, gmd26_md.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "ase", "rdkit", "rich", *VENDORS}
