"""The batched road: shards on threads give what one batch gives, whatever fails beside them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from ase.build import molecule

from gmd26_md.calculators import deepset_moe, mace, painn, schnet
from gmd26_md.calculators.batch import Layout
from gmd26_md.calculators.potential import Potential, energy_and_forces
from gmd26_md.dynamics import potential_forces
from gmd26_md.dynamics.capacity import is_out_of_memory, saved_bytes_per_pair, typical_pairs
from gmd26_md.dynamics.engine import Segment, System, integrate
from gmd26_md.dynamics.forces import AseForces, PotentialForces

SMALL = {
    "deepset-moe": (
        deepset_moe,
        {"n_features": 8, "expert_width": 8, "n_products": 8, "n_triples": 4, "decoder_width": 16},
    ),
    "schnet": (schnet, {"n_atom_basis": 16, "n_filters": 16}),
    "painn": (painn, {"n_atom_basis": 16}),
    "mace": (mace, {"hidden_irreps": "8x0e", "radial_MLP": [8], "MLP_irreps": "4x0e"}),
}
NAMES = ("CH3COOH", "CH3CH2OH", "H2O", "C6H6", "trans-butane", "CH4", "CH3CHO", "H2O", "C6H6", "CH3COOH")


@pytest.fixture(params=sorted(SMALL))
def provider(request):
    """Forces of a small network that is a stranger to chemistry, cut into several shards."""
    module, hyperparameters = SMALL[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = module.network(hyperparameters, (1, 6, 8)).double()
    made = PotentialForces(Potential(network, cutoff=5.0, element_energies={1: -13.0, 6: -1000.0, 8: -2000.0}))
    made.bytes_per_pair = potential_forces._SHARD_BYTES / 200.0  # a few molecules a shard
    return made


@pytest.fixture
def shaken():
    systems = [molecule(name) for name in NAMES]
    for seed, atoms in enumerate(systems):
        atoms.rattle(0.05, seed=seed)
    return systems


@pytest.fixture
def threads():
    """Set the number of threads for the rest of the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def flat(systems):
    return torch.as_tensor(np.concatenate([a.positions for a in systems]))


def ask(provider, systems):
    return provider.bind([a.numbers for a in systems])(flat(systems))


def test_shards_give_what_one_batch_gives(provider, shaken):
    assert len(provider.shards([len(a) for a in shaken])) > 2
    energy, forces = ask(provider, shaken)
    layout = Layout.of([a.numbers for a in shaken])
    batch = layout.batch(flat(shaken), 5.0)
    there, f = energy_and_forces(provider.potential, batch)
    there = there + provider.potential.reference_energy(batch)
    # sums of other blocks of rows: rounding
    torch.testing.assert_close(energy, there, rtol=1e-13, atol=0)
    torch.testing.assert_close(forces, f, rtol=0, atol=1e-12 * float(f.abs().max()))


def test_the_number_of_threads_changes_no_bit(provider, shaken, threads):
    answers = []
    for n in (1, 2, 3):
        threads(n)
        answers.append(ask(provider, shaken))
        assert torch.get_num_threads() == n
    for energy, forces in answers[1:]:
        assert torch.equal(energy, answers[0][0])
        assert torch.equal(forces, answers[0][1])


def test_a_thread_of_shards_that_stood_idle_still_computes_alone(threads):
    threads(2)
    with ThreadPoolExecutor(1, initializer=potential_forces._begin_thread) as pool:
        pool.submit(int).result()  # the thread is there, and has computed nothing
        threads(3)
        assert pool.submit(torch.get_num_threads).result() == 1


def test_a_lone_molecule_has_the_same_bits_on_any_number_of_threads(provider, shaken, threads):
    answers = []
    for n in (1, 2):
        threads(n)
        answers.append(ask(provider, shaken[:1]))
        assert torch.get_num_threads() == n
    assert torch.equal(answers[0][1], answers[1][1])


def test_a_molecule_that_is_nowhere_reaches_no_other(provider, shaken):
    energy, forces = ask(provider, shaken)
    for lost in (0, 4, 9):
        broken = [a.copy() for a in shaken]
        broken[lost].positions[0, 0] = np.nan
        e, f = ask(provider, broken)
        kept = [i for i in range(len(shaken)) if i != lost]
        assert torch.isnan(e[lost])
        mine = torch.as_tensor(np.repeat(np.arange(len(shaken)), [len(a) for a in shaken]) == lost)
        assert torch.isnan(f[mine]).all()
        # the others' rows are the same numbers, summed beside other rows: rounding at most
        torch.testing.assert_close(e[kept], energy[kept], rtol=1e-13, atol=0)
        torch.testing.assert_close(f[~mine], forces[~mine], rtol=0, atol=1e-12 * float(forces.abs().max()))


def test_some_of_the_systems_and_more_of_them(provider, shaken):
    bound = provider.bind([a.numbers for a in shaken[:6]])
    chosen = [4, 1]
    some = bound.only(chosen).joined(provider.bind([a.numbers for a in shaken[6:8]]))
    together = [shaken[4], shaken[1], *shaken[6:8]]
    energy, forces = some(flat(together))
    there, f = ask(provider, together)
    assert torch.equal(energy, there)
    assert torch.equal(forces, f)


def test_in_float32_it_does_not_count_where_a_molecule_lies(provider, shaken):
    provider = PotentialForces(provider.potential.float())
    energy, forces = ask(provider, shaken)
    away = [a.copy() for a in shaken]
    for i, atoms in enumerate(away):
        atoms.positions += 1024.0 * (i + 1) * np.array([1.0, -1.0, 2.0])
    e, f = ask(provider, away)
    # positions in float64, some 1e-12 Å off so far away, now and then round to another float32
    torch.testing.assert_close(e, energy, rtol=1e-9, atol=0)
    torch.testing.assert_close(f, forces, rtol=0, atol=1e-5 * float(forces.abs().max()))
    # and the molecules beside it move no bit of where it lies
    bound = provider.bind([a.numbers for a in away])
    alone = provider.bind([away[3].numbers])
    at = bound._as_the_model_takes(flat(away))
    start = sum(len(a) for a in away[:3])
    own = alone._as_the_model_takes(flat([away[3]]))
    assert torch.equal(at[start : start + len(own)], own)
    assert float(at.abs().max()) < 10.0


def test_in_float64_positions_are_as_they_come(provider, shaken):
    bound = provider.bind([a.numbers for a in shaken])
    assert torch.equal(bound._as_the_model_takes(flat(shaken)), flat(shaken))


def test_a_trajectory_in_a_batch_is_the_one_alone_to_rounding(provider, shaken):
    systems = [System(str(i), a.numbers, a.positions, seed=i, temperature_K=50.0) for i, a in enumerate(shaken)]
    segments = [Segment("nvt", 30, 0.25, 10, friction_per_fs=0.02)]
    together = integrate(provider, systems, segments)
    for i in (0, 3, 9):
        alone = integrate(provider, [systems[i]], segments)[0]
        assert (together[i].stopped, together[i].n_force_calls) == (alone.stopped, alone.n_force_calls)
        x, y = together[i].frames["nvt"].positions, alone.frames["nvt"].positions
        # 1e-15 a step, and 30 steps of a short trajectory hardly let it grow
        assert np.abs(x - y).max() < 1e-12
        assert np.abs(x[-1] - x[0]).max() > 1e-3


def test_every_system_is_in_one_shard_in_order(provider):
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 17, 200):
        counts = rng.integers(1, 60, size=n).tolist()
        shards = provider.shards(counts)
        assert [i for shard in shards for i in shard] == list(range(n))
        assert all(len(shard) for shard in shards)
        assert shards == provider.shards(counts)
    assert provider.shards([40]) == [range(1)]
    assert len(provider.shards([40, 40])) == 2  # two threads have something to do


def test_an_out_of_memory_is_raised_when_the_other_shards_have_ended(provider, shaken, threads):
    threads(2)
    network, ended = provider.potential.network.forward, []
    sizes = [sum(len(shaken[i]) for i in shard) for shard in provider.shards([len(a) for a in shaken])]
    assert len(sizes) > 2

    def first_fails(batch):
        if len(batch.numbers) == sizes[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        answer = network(batch)
        ended.append(len(batch.numbers))
        return answer

    provider.potential.network.forward = first_fails
    bound = provider.bind([a.numbers for a in shaken])
    with pytest.raises(torch.OutOfMemoryError):
        bound(flat(shaken))
    assert sorted(ended) == sorted(n for n in sizes[1:] if n != sizes[0])
    provider.potential.network.forward = network
    assert torch.isfinite(bound(flat(shaken))[0]).all()  # and nothing is spoilt


def test_what_is_out_of_memory_and_what_is_not():
    with pytest.raises(RuntimeError) as problem:
        torch.empty(2**52, dtype=torch.float64)
    assert is_out_of_memory(problem.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("The size of tensor a (3) must match"))
    assert not is_out_of_memory(KeyError("memory"))


def test_what_a_pair_keeps_is_measured(provider):
    wide = saved_bytes_per_pair(provider.potential)
    assert wide == saved_bytes_per_pair(provider.potential)
    assert 100 < wide < 1e6
    narrow = saved_bytes_per_pair(provider.potential.float())
    assert 0.4 * wide < narrow < 0.75 * wide


def test_costs_and_capacities(provider, shaken):
    costs = [provider.cost(a.numbers, a.positions) for a in sorted(shaken, key=len)]
    assert costs == sorted(costs)
    assert costs[0] > 0
    assert provider.capacity() > sum(costs)
    assert typical_pairs(2, 5.0) == 2
    # real molecules have about as many pairs as said, within a factor of two
    for atoms in shaken:
        pairs = Layout.of([atoms.numbers]).batch(torch.as_tensor(atoms.positions), 5.0).pairs.shape[1]
        assert 0.5 <= typical_pairs(len(atoms), 5.0) / pairs <= 2.0
    ase = AseForces(lambda: None)
    assert ase.capacity() == float("inf")
    assert ase.cost(shaken[0].numbers, shaken[0].positions) == len(shaken[0])


def test_a_molecule_of_a_thousand_atoms_moves(provider):
    line = np.arange(1000)[:, None] * np.array([[1.4, 0.0, 0.0]]) + 0.1 * np.random.default_rng(0).normal(
        size=(1000, 3)
    )
    systems = [System("long", np.full(1000, 6), line, 1, 10.0), System("short", np.full(9, 6), line[:9], 2, 10.0)]
    runs = integrate(provider, systems, [Segment("nve", 3, 0.1, 1)])
    for run, system in zip(runs, systems, strict=True):
        assert run.frames["nve"].n_frames == 4
        assert np.isfinite(run.frames["nve"].forces).all()
        alone = integrate(provider, [system], [Segment("nve", 3, 0.1, 1)])[0]
        assert np.abs(alone.frames["nve"].positions - run.frames["nve"].positions).max() < 1e-12
