"""Seeds of named streams: the same everywhere and always, and each stream its own."""

from gmd26_md.seeds import seed_of


def test_a_seed_is_the_same_on_every_machine_and_in_every_version():
    # data on disk rests on these: a change here is a change of every trajectory
    assert seed_of(26, "ethane", "primary") == 8872197046626501264
    assert seed_of(0, "ethane") == 4960571274189462824


def test_neighbouring_streams_have_different_seeds():
    asked = [(s, *names) for s in (0, 1, 26) for names in [(), ("ethane",), ("ethane", "primary"), ("propane",)]]
    seeds = [seed_of(*one) for one in asked]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
