"The physics of the page beside that of the library; how the player is used is tested with the site"
import gzip, json, shutil, subprocess
from pathlib import Path

import numpy as np
import pytest

from conftest import needed
from elm_nb.sodarace.domain import Sodarace
from elm_nb.sodarace.live import _as_data, live
from elm_nb.sodarace.show import script
from elm_nb.sodarace.simulator import SimConfig, simulate
from elm_nb.sodarace.terrain import TERRAINS, flat, right_wall, tunnel
from elm_nb.sodarace.walker import InvalidWalker, Muscle, Walker

THREE_SECONDS = SimConfig(duration=3.)

def engine_with(walkers, terrains, config):
    "JavaScript that knows the physics and these"
    engine = needed('py_mini_racer').MiniRacer() # how a script reads is tested without it, too
    data = json.dumps(_as_data(walkers, terrains, config))
    engine.eval(f'{script("physics.js")} const {{walkers, terrains, config}} = {data};')
    return engine

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
    engine = engine_with(walkers, TERRAINS.values(), THREE_SECONDS)
    engine.eval('''function end(name, k) {
        const walk = new Walk(walkers[name], terrains[k], config);
        while (walk.seconds < config.duration - config.dt/2) walk.walk();
        return JSON.stringify([walk.p, walk.distance, walk.steps]);
    }''')
    return lambda name, k: json.loads(engine.eval(f'end({json.dumps(name)}, {k})'))

@pytest.mark.parametrize('k, terrain', list(enumerate(TERRAINS.values())), ids=TERRAINS)
def test_walks_like_the_simulator(k, terrain, walkers, in_javascript):
    # where contacts change all the time pymunk differs in rounding, and chaos does the rest
    backend = 'pymunk' if terrain == flat() else 'numba'
    room = terrain.room[1] - terrain.room[0] - 2*THREE_SECONDS.joint_radius
    fitting = {name: walker for name,walker in walkers.items() if walker.width <= room}
    assert len(fitting) >= len(walkers) - 1
    for name,walker in fitting.items():
        rollout = simulate(walker, terrain, THREE_SECONDS, backend=backend)
        positions, distance, steps = in_javascript(name, k)
        assert steps == round((rollout.settling + 3)*60), name
        assert np.abs(rollout.positions[-1] - positions).max() < 0.01, name
        assert distance == pytest.approx(rollout.distance, abs=0.01), name

def test_refuses_what_the_simulator_refuses():
    wide = Walker(((0., 0.), (70., 0.), (0., 3.)), (Muscle(0, 1, 1.), Muscle(1, 2), Muscle(0, 2)))
    with pytest.raises(InvalidWalker, match='up to 37.4 wide'): simulate(wide, tunnel())
    engine = engine_with({'wide': wide}, [tunnel()], SimConfig())
    with pytest.raises(Exception, match='too wide for this terrain, where a walker may be 37.4 units wide'):
        engine.eval('new Walk(walkers.wide, terrains[0], config)')

SCRIPTS = sorted(Path('elm_nb').rglob('*.js'))

def parse(file):
    "Raises an error if a file is no JavaScript"
    if node := shutil.which('node'):
        checked = subprocess.run([node, '--check', file], capture_output=True, text=True)
        if checked.returncode: raise SyntaxError(checked.stderr)
        return
    from py_mini_racer import MiniRacer # one of the two must be there
    MiniRacer().eval(f'(() => {{ {file.read_text()} }})')

def test_scripts_are_found():
    assert {f.name for f in SCRIPTS} >= {'live.js', 'physics.js', 'player.js', 'world.js'}

@pytest.mark.parametrize('file', SCRIPTS, ids=lambda f: f.name)
def test_a_script_can_be_parsed_and_read(file):
    parse(file)
    text = file.read_text()
    assert '</' not in text, 'it could end the page it stands in'
    assert max(map(len, text.split('\n'))) <= 110

@pytest.mark.parametrize('node', [True, False])
def test_what_is_no_script_is_noticed(node, tmp_path, monkeypatch):
    if not node: monkeypatch.setattr(shutil, 'which', lambda name: None)
    broken = tmp_path/'broken.js'
    broken.write_text('function walk() { return 1 + ; }')
    with pytest.raises(Exception, match='SyntaxError'): parse(broken)

def test_a_name_cannot_end_the_script():
    walker = Walker(((0., 0.), (3., 0.), (0., 3.)), (Muscle(0, 1, 1.), Muscle(1, 2), Muscle(0, 2)))
    assert live({'</script><b>': walker}, [right_wall()]).count('</script>') == 1
