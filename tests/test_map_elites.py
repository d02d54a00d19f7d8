"The archive against pyribs, on random streams"
import numpy as np
import pytest
from ribs.archives import GridArchive as Ribs

from elm_nb.search.map_elites import GridArchive

AXES = {'height': (0, 24, 12), 'width': (0, 24, 12), 'mass': (0, 48, 12)}


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('batch', [1, 7, 1000])
def test_same_contents_as_ribs(seed, batch):
    rng = np.random.default_rng(seed)
    n = 3000 if batch > 1 else 300
    fitness = rng.integers(0, 30, n).astype(float) # many ties
    behavior = rng.normal(0.5, 0.4, (n, 3))*[24, 24, 48] # some outside of the grid
    ours, theirs = GridArchive(AXES), Ribs(solution_dim=1, dims=[12]*3, ranges=[(0, 24), (0, 24), (0, 48)])
    for i in range(0, n, batch):
        at = slice(i, i+batch)
        ours.add(fitness[at], behavior[at], range(n)[at])
        for k in range(*at.indices(n)): theirs.add_single([k], fitness[k], behavior[k])
    found = theirs.data()
    assert ours.niches == len(theirs) and ours.niches > 100
    assert ours.qd_score == pytest.approx(theirs.stats.qd_score)
    fitness_of = {int(s[0]): o for s,o in zip(found['solution'], found['objective'])}
    item_in = {int(k): int(s[0]) for k,s in zip(found['index'], found['solution'])}
    assert {c.item: c.fitness for c in ours.champions.values()} == fitness_of
    assert {k: c.item for k,c in ours.champions.items()} == item_in


def test_bad_input_changes_nothing():
    archive = GridArchive(AXES)
    archive.add([1.], [(1, 1, 1)], ['a'])
    before = dict(archive.champions)
    nan, inf = float('nan'), float('inf')
    for fitness, behavior in ([nan], [(1, 1, 1)]), ([2.], [(1, inf, 1)]), ([2., 3.], [(1, 1, 1)]):
        with pytest.raises(ValueError): archive.add(fitness, behavior, ['b'])
    assert archive.champions == before
    with pytest.raises(ValueError): GridArchive({'height': (5, 5, 3)})
