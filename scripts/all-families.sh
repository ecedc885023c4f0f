#!/usr/bin/env bash
# One environment for all families of models, NequIP among them, which no metadata can resolve:
#     bash scripts/all-families.sh [FOLDER] [EXTRA ...]        (default: .venv-all-families, no extras)
# nequip needs e3nn >= 0.6 and torchmetrics >= 1.6; mace-torch pins e3nn 0.4.4, schnetpack pins torchmetrics 1.0.1. Both run
# on the newer ones (tests/calculators holds them to their vendors' numbers), so their own pins are passed over here and
# nothing else is. Versions and bounds are read from pyproject.toml and from the packages themselves.
# Needs python (3.11 or later), bash and a package index. May be given again: what is there is kept.
# torch comes as the index has it; for a smaller one without CUDA: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
folder=${1:-.venv-all-families}
[ $# -eq 0 ] || shift
case $folder in -*) sed -n '2,9p' "scripts/$(basename "$0")" | cut -c 3-; exit 2 ;; /*) ;; *) [ "$here" = "$PWD" ] || folder=$here/$folder ;; esac
NEQUIP=nequip==0.19.1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

interpreter=python
command -v python > /dev/null || interpreter=python3
[ -x "$folder/bin/python" ] || "$interpreter" -m venv "$folder"
python=$folder/bin/python

# our own requirements, split by whether a package's pins are passed over, and those of the extras that were asked for
ours() {
    "$python" - "$@" <<'END'
import re, sys, tomllib
which, *extras = sys.argv[1:]
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
known = project["optional-dependencies"]
unknown = [e for e in extras if e not in known]
if unknown:
    sys.exit(f"{unknown[0]!r} is no extra of pyproject.toml; there are {', '.join(known)}.")
pinned = [r for r in project["dependencies"] if re.match(r"(mace-torch|schnetpack)\b", r)]
rest = [r for r in project["dependencies"] if r not in pinned] + [r for e in extras for r in known[e]]
print(*(pinned if which == "pinned" else rest), sep="\n")
END
}
rest=$(ours rest "$@")
pinned=$(ours pinned)
mapfile -t rest <<< "$rest"
mapfile -t pinned <<< "$pinned"
install() { "$python" -m pip install --quiet "$@"; }

echo "== torch, nequip, and what gmd26-md needs beside mace-torch and schnetpack"
install "$NEQUIP" "${rest[@]}"
echo "== ${pinned[*]}, without their requirements"
install --no-deps "${pinned[@]}"
echo "== their requirements, less the pins on e3nn and torchmetrics"
needed=$("$python" - "${pinned[@]}" <<'END'
import re, sys
from importlib.metadata import requires
for package in sys.argv[1:]:
    for line in requires(re.split(r"[^\w-]", package)[0]) or []:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        if "extra" not in marker and not re.match(r"(e3nn|torchmetrics)\b", requirement):
            print(requirement.replace(" ", ""))
END
)
mapfile -t needed <<< "$needed"
install "${needed[@]}"
echo "== gmd26-md itself"
install --no-deps -e .

"$python" - <<'END'
from importlib.metadata import version
for name in "torch e3nn mace-torch nequip schnetpack torchmetrics ase tblite rdkit gmd26-md".split():
    print(f"{name:<13} {version(name)}")
END
echo "Ready: . $folder/bin/activate"
