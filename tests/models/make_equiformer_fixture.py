"""How fixtures/equiformer_v2.json was made; run by hand, in an environment of its own.

    pip download --no-deps fairchem-core==1.10.0 && unzip fairchem_core-1.10.0-py3-none-any.whl -d FOLDER
    python tests/models/make_equiformer_fixture.py FOLDER

fairchem-core 1.10.0 asks for an older torch, but its EquiformerV2 runs beside torch 2.13 with torch_geometric. Two
things are put in its way: an empty torch_scatter, which nothing here calls, and edges from our own list in place of
its radius graph. Weights are drawn for our network and copied. Its grid is taken so fine (60 x 60) that the published
latitudes and ours give the same function, and its energies are multiplied by `avg_num_nodes`, by which it divides.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import torch
from equiformer_cases import CASES, ELEMENTS, FINE, batch_of, drawn_network

VENDOR = "fairchem.core.models.equiformer_v2"
AVG_NUM_NODES = 77.81317


def import_vendor(folder: str) -> None:
    """Make the modules importable without the packages' own start, which needs what is not here."""
    for name in ("fairchem", "fairchem.core", "fairchem.core.models", VENDOR):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(folder, *name.split(".")))]
        sys.modules[name] = package
    scatter = types.ModuleType("torch_scatter")
    scatter.scatter = scatter.segment_coo = scatter.segment_csr = None
    sys.modules["torch_scatter"] = scatter
    import e3nn.o3  # noqa: F401  (the vendor looks for it among the modules that are loaded)


def vendor_modules(values: dict, resolution: int = 60) -> tuple[torch.nn.Module, torch.nn.Module, torch.nn.Module]:
    from fairchem.core.models.equiformer_v2.equiformer_v2 import EquiformerV2Backbone
    from fairchem.core.models.equiformer_v2.heads.scalar import EqV2ScalarHead
    from fairchem.core.models.equiformer_v2.heads.vector import EqV2VectorHead

    same = (
        "num_layers sphere_channels attn_hidden_channels num_heads attn_alpha_channels attn_value_channels "
        "ffn_hidden_channels edge_channels avg_degree use_grid_mlp"
    )
    backbone = EquiformerV2Backbone(
        **{name: values[name] for name in same.split()},
        use_pbc=False,
        otf_graph=False,
        max_radius=values["cutoff"],
        max_num_elements=20,
        norm_type="layer_norm_sh",
        lmax_list=[values["lmax"]],
        mmax_list=[values["mmax"]],
        grid_resolution=resolution,
        alpha_drop=0.0,
        drop_path_rate=0.0,
        avg_num_nodes=AVG_NUM_NODES,
    )
    return backbone.eval(), EqV2ScalarHead(backbone).eval(), EqV2VectorHead(backbone).eval()


def copy_weights(network: torch.nn.Module, backbone, energy, force) -> int:
    """Copy our weights into the vendor's modules, and return how many weights of theirs no number depends on."""
    rows = list(ELEMENTS)
    untouched = {id(w): w.numel() for module in (backbone, energy, force) for w in module.parameters()}

    def put(theirs: torch.nn.Parameter, ours: torch.Tensor, where: object = slice(None)) -> None:
        with torch.no_grad():
            theirs[where] = ours.reshape(theirs[where].shape)
        untouched.pop(id(theirs), None)

    def linear(theirs, ours) -> None:
        put(theirs.weight, ours.weight)
        if ours.bias is not None:
            put(theirs.bias, ours.bias)

    def invariants(theirs, ours) -> None:
        put(theirs.source_embedding.weight, ours.neighbour, rows)
        put(theirs.target_embedding.weight, ours.centre, rows)

    def radial(theirs, ours) -> None:
        for their_layer, our_layer in zip(theirs.net, ours.layers, strict=True):
            if len(list(our_layer.parameters())):
                linear(their_layer, our_layer)

    def norm(theirs, ours) -> None:
        if isinstance(ours, torch.nn.LayerNorm):  # scalars only: what the rest of theirs does is never read
            linear(theirs.norm_l0, ours)
        else:
            linear(theirs.norm_l0, ours.scalars)
            put(theirs.affine_weight, ours.weight)

    def attention(theirs, ours) -> None:
        invariants(theirs, ours.invariants)
        radial(theirs.so2_conv_1.rad_func, ours.radial)
        for there, here in ((theirs.so2_conv_1, ours.first), (theirs.so2_conv_2, ours.second)):
            put(there.fc_m0.weight, here.zero.weight, slice(len(here.zero.weight)))
            put(there.fc_m0.bias, here.zero.bias, slice(len(here.zero.bias)))
            for their_pair, our_pair in zip(there.so2_m_conv, here.pairs, strict=bool(len(here.pairs))):
                put(their_pair.fc.weight, our_pair.weight)
        linear(theirs.alpha_norm, ours.norm)
        put(theirs.alpha_dot, ours.dot)
        put(theirs.proj.weight, ours.project.weight, slice(len(ours.project.weight)))
        put(theirs.proj.bias, ours.project.bias)

    def feed_forward(theirs, ours) -> None:
        linear(theirs.scalar_mlp[0] if theirs.use_grid_mlp else theirs.gating_linear, ours.gate)
        if getattr(ours, "points", None) is not None:
            for there, here in zip(theirs.grid_mlp[::2], ours.points[::2], strict=True):
                linear(there, here)
        if hasattr(ours, "first"):
            linear(theirs.so3_linear_1, ours.first)
            linear(theirs.so3_linear_2, ours.second)
        else:
            put(theirs.so3_linear_2.weight, ours.second.weight, 0)
            put(theirs.so3_linear_2.bias, ours.second.bias)

    put(backbone.sphere_embedding.weight, network.embedding, rows)
    invariants(backbone.edge_degree_embedding, network.edge_degree.invariants)
    radial(backbone.edge_degree_embedding.rad_func, network.edge_degree.radial)
    for there, here in zip(backbone.blocks, network.blocks, strict=True):
        norm(there.norm_1, here.attention_norm)
        attention(there.ga, here.attention)
        norm(there.norm_2, here.feed_forward_norm)
        feed_forward(there.ffn, here.feed_forward)
    norm(backbone.norm, network.norm)
    feed_forward(energy.energy_block, network.energy)
    if network.force is not None:
        attention(force.force_block, network.force)
    return sum(untouched.values())


def vendor_answer(values: dict, batch, modules) -> tuple[list[float], list[list[float]] | None]:
    backbone, energy, force = modules
    centre, neighbour = batch.pairs
    vectors = batch.pair_vectors()
    data = SimpleNamespace(
        pos=batch.positions,
        atomic_numbers=batch.numbers,
        batch=batch.system_idx,
        natoms=torch.bincount(batch.system_idx),
    )
    backbone.generate_graph = lambda *_, **__: SimpleNamespace(
        edge_index=torch.stack([neighbour, centre]),
        edge_distance=vectors.norm(dim=1),
        edge_distance_vec=vectors,
        node_offset=0,
        atomic_numbers_full=batch.numbers,
        batch_full=batch.system_idx,
    )
    torch.manual_seed(1)  # its frames are drawn at random
    embedding = backbone(data)
    energies = (energy(data, embedding)["energy"] * AVG_NUM_NODES).tolist()
    return energies, force(data, embedding)["forces"].tolist() if values["direct_forces"] else None


def main(folder: str) -> None:
    torch.set_default_dtype(torch.float64)
    import_vendor(folder)
    found = {}
    for name, case in CASES.items():
        network = drawn_network(case, **FINE)
        modules = vendor_modules(case)
        idle = copy_weights(network, *modules)
        energies, forces = vendor_answer(case, batch_of(case["cutoff"]), modules)
        weights = sum(w.numel() for w in network.parameters())
        found[name] = {"energies": energies, "forces": forces}
        print(name, f"{weights} weights of ours; of theirs {idle} are in nothing that is read", energies)
    path = Path(__file__).parent / "fixtures" / "equiformer_v2.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with torch.no_grad(), torch.serialization.safe_globals([slice]):
        main(sys.argv[1])
