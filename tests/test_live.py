"The physics of the page beside that of the library; how the player is used is tested with the site"
import gzip, json
from pathlib import Path

import numpy as np
import pytest

from elm_nb.sodarace.domain import Sodarace
from elm_nb.sodarace.live import _as_data, _physics, live
from elm_nb.sodarace.simulator import SimConfig, simulate
from elm_nb.sodarace.terrain import TERRAINS, flat, right_wall, tunnel
from elm_nb.sodarace.walker import InvalidWalker, Muscle, Walker

THREE_SECONDS = SimConfig(duration=3.)
MiniRacer = pytest.importorskip('py_mini_racer').MiniRacer

@pytest.fixture(scope='module')
def walkers():
    population = json.loads(gzip.decompress(Path('elm_nb/data/walkers.json.gz').read_bytes()))
    evolved = {f'evolved {i}': Walker(w['joints'], w['muscles']) for i,w in enumerate(population[::26])}
    domain = Sodarace()
    found = {name: domain.walker(program).value for name,program in domain.seeds.items()} | evolved
    assert len(evolved) == 20 and len(found) == 24
    return found

@pytest.fixture(scope='module')
def in_javascript(walkers):
    "Where the joints are at the end, and the distance, by walker and terrain"
    engine = MiniRacer()
    engine.eval(_physics + f'const {{walkers, terrains, config}} = {_as_data(walkers, TERRAINS.values(), THREE_SECONDS)};')
    engine.eval('''function end(name, k) {
        const walk = new Walk(walkers[name], terrains[k], config);
        while (walk.seconds < config.duration - config.dt/2) walk.walk();
        return JSON.stringify([walk.p, walk.distance, walk.steps]);
    }''')
    return lambda name, k: json.loads(engine.eval(f'end({json.dumps(name)}, {k})'))

@pytest.mark.parametrize('k, terrain', list(enumerate(TERRAINS.values())), ids=TERRAINS)
def test_walks_like_the_simulator(k, terrain, walkers, in_javascript):
    backend = 'pymunk' if terrain == flat() else 'numba' # where contacts change all the time the two differ in rounding, and chaos does the rest
    room = terrain.room[1] - terrain.room[0] - 2*THREE_SECONDS.joint_radius
    fitting = {name: walker for name,walker in walkers.items() if walker.width <= room}
    assert len(fitting) >= len(walkers) - 1
    for name,walker in fitting.items():
        rollout, (positions, distance, steps) = simulate(walker, terrain, THREE_SECONDS, backend=backend), in_javascript(name, k)
        assert steps == round((rollout.settling + 3)*60), name
        assert np.abs(rollout.positions[-1] - positions).max() < 0.01, name
        assert distance == pytest.approx(rollout.distance, abs=0.01), name

def test_refuses_what_the_simulator_refuses():
    wide = Walker(((0., 0.), (70., 0.), (0., 3.)), (Muscle(0, 1, 1.), Muscle(1, 2), Muscle(0, 2)))
    with pytest.raises(InvalidWalker, match='up to 57.4 wide'): simulate(wide, tunnel())
    engine = MiniRacer()
    engine.eval(_physics + f'const {{walkers, terrains, config}} = {_as_data({"wide": wide}, [tunnel()], SimConfig())};')
    with pytest.raises(Exception, match='too wide for this terrain, where a walker may be 57.4 units wide'): engine.eval('new Walk(walkers.wide, terrains[0], config)')

def test_a_name_cannot_end_the_script():
    walker = Walker(((0., 0.), (3., 0.), (0., 3.)), (Muscle(0, 1, 1.), Muscle(1, 2), Muscle(0, 2)))
    assert live({'</script><b>': walker}, [right_wall()]).count('</script>') == 1
