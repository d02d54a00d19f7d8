"The promises of the simulator, on walkers that hypothesis makes up"
import gzip
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from elm_nb.evaluators import Evaluators
from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.sodarace.simulator import SimConfig, rest_lengths, robust_fitness, simulate, simulate_many
from elm_nb.sodarace.terrain import TERRAINS, Terrain, bumpy, flat, from_points, inset
from elm_nb.sodarace.terrain import left_wall, right_wall, tunnel
from elm_nb.sodarace.walker import InvalidWalker, Muscle, Walker, WalkerCreator

ROOT = Path(__file__).parent.parent
BACKENDS = ['pymunk', 'numba']
TWO_SECONDS = SimConfig(duration=2.)
# so strict that no slow tilt counts as rest
PATIENT = SimConfig(settle=200., rest_time=5., rest_distance=1e-10)
HILL = from_points([(-1000, -250), (-8, 0), (8, 0), (1000, -250)], 'hill')
SYMMETRIC = [flat(), tunnel(distance=12.), HILL]

on_both_backends = pytest.mark.parametrize('backend', BACKENDS)
many = settings(max_examples=30, deadline=None)


@st.composite
def walkers(draw, amplitude=10., most=12):
    "Joints on a jittered grid, each linked to the one before and to some other"
    n = draw(st.integers(3, most))

    def number(low, high): return draw(st.floats(low, high, allow_nan=False))

    joints = tuple((3.*(i % 4) + number(-1, 1), 3.*(i // 4) + number(-1, 1)) for i in range(n))
    in_a_row = {(i-1, i) for i in range(1, n)}
    others = {tuple(sorted((i, draw(st.integers(0, n-1))))) for i in range(n)}
    muscles = []
    for a, b in sorted(in_a_row | others):
        if a != b: muscles.append(Muscle(a, b, number(-amplitude, amplitude), number(0, 6)))
    return Walker(joints, tuple(muscles))


def random_walkers(n, seed=0):
    "4 to 20 joints anywhere in a box, each linked to its nearest"
    rng, made = np.random.default_rng(seed), []
    for _ in range(n):
        size = rng.integers(4, 21)
        xy = rng.uniform(0, 10, (size, 2))
        near = np.linalg.norm(xy[:, None] - xy, axis=2).argsort(axis=1)[:, 1:rng.integers(3, 7)]
        links = sorted({(min(i, j), max(i, j)) for i in range(size) for j in near[i].tolist()})
        muscles = tuple(Muscle(a, b, *rng.uniform((-10, 0), (10, 6)).tolist()) for a, b in links)
        made.append(Walker(tuple(map(tuple, xy.tolist())), muscles))
    return made


def crowded(seed, strongest=60.):
    "48 joints, 240 muscles of any strength"
    rng, wc = np.random.default_rng(seed), WalkerCreator()
    while len(wc.joints) < wc.max_joints: wc.add_joint(*rng.uniform(0, 12, 2).tolist())
    wc.max_calls = 10**6
    while len(wc.muscles) < 240:
        free = [j for j in range(48) if wc.degree[j] < 10]
        stuck = all((a, b) in wc.pairs for i, a in enumerate(free) for b in free[i+1:])
        if len(free) < 2 or stuck: return crowded(seed + 1000, strongest)
        a, b = rng.choice(free, 2, replace=False).tolist()
        wc.add_muscle(a, b, False, *rng.uniform((-strongest, 0), (strongest, 6)).tolist())
    return Walker(wc.joints, wc.muscles)


def without_muscles(walker):
    return replace(walker, muscles=tuple(m._replace(amplitude=0.) for m in walker.muscles))


def mirrored(walker): return replace(walker, joints=tuple((-x, y) for x, y in walker.joints))


@on_both_backends
@many
@given(walkers())
def test_at_rest_scores_nothing(backend, walker):
    rollout = simulate(without_muscles(walker), config=PATIENT, backend=backend)
    assume(rollout.settling < PATIENT.settle) # a few creep on for minutes
    assert abs(rollout.distance) < 1e-6


@pytest.mark.parametrize('name', SEEDS)
def test_seeds_without_muscles_stay(name):
    walker = without_muscles(Sodarace().walker(SEEDS[name]).value)
    assert abs(simulate(walker).distance) < 0.02
    assert abs(simulate(walker, config=PATIENT).distance) < 1e-6


@on_both_backends
def test_shapes_do_not_earn_by_falling_over(backend):
    "4 to 20 joints uniform in a box, each linked to its three nearest, no muscles"
    rng, shapes = np.random.default_rng(0), []
    for _ in range(1000):
        n = rng.integers(4, 21)
        xy = rng.uniform(0, 10, (n, 2))
        near = np.linalg.norm(xy[:, None] - xy, axis=2).argsort(axis=1)[:, 1:4]
        links = sorted({(min(i, j), max(i, j)) for i in range(n) for j in near[i].tolist()})
        shapes.append(Walker(xy.tolist(), links))
    distances = np.abs([r.distance for r in simulate_many(shapes, backend=backend)])
    assert np.quantile(distances, 0.99) < 0.1 and distances.max() < 2


@on_both_backends
@pytest.mark.parametrize('terrain', SYMMETRIC, ids=lambda t: t.name)
@many
@given(walkers(), st.floats(-20, 20))
def test_shift_and_mirror(backend, terrain, walker, shift):
    def distance(w): return simulate(w, terrain, TWO_SECONDS, backend=backend).distance

    moved = distance(walker)
    shifted = replace(walker, joints=tuple((x+shift, y+shift) for x, y in walker.joints))
    assert distance(shifted) == pytest.approx(moved, abs=1e-6)
    assert distance(mirrored(walker)) == pytest.approx(-moved, abs=1e-6)


@on_both_backends
def test_same_bits_in_every_process_and_order(backend):
    script = ('from elm_nb.sodarace.domain import *\nfrom elm_nb.sodarace.simulator import simulate\n'
              'walkers = [Sodarace().walker(p).value for p in SEEDS.values()]\n'
              f'print(*[simulate(w, backend={backend!r}).distance.hex() for w in walkers])')
    sodarace = Sodarace()
    here = [simulate(sodarace.walker(p).value, backend=backend).distance.hex() for p in SEEDS.values()]
    elsewhere = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    assert elsewhere.stdout.split() == here
    population = random_walkers(30)
    order = np.random.default_rng(1).permutation(30)
    for terrain in (flat(), bumpy()):
        distances = [r.distance for r in simulate_many(population, terrain, TWO_SECONDS, backend=backend)]
        others = [population[i] for i in order]
        with Evaluators(2) as two:
            shuffled = simulate_many(others, terrain, TWO_SECONDS, backend=backend, evaluators=two)
        assert [r.distance for r in shuffled] == [distances[i] for i in order]


def test_garbage_collection_at_a_bad_moment():
    "Chipmunk aborts if a body is freed while its space is being freed; a tracer lets that happen"
    script = """
import gc, sys
from elm_nb.sodarace.simulator import SimConfig, simulate
from elm_nb.sodarace.walker import Muscle, Walker
joints = tuple((float(i), float(i%2)) for i in range(12))
walker = Walker(joints, tuple(Muscle(i, i+1, 5.) for i in range(11)))
garbage = []
sys.settrace(lambda *event: garbage.append([1]))
for threshold in range(1, 1000):
    garbage.clear(); gc.disable(); gc.collect(); gc.set_threshold(threshold); gc.enable()
    simulate(walker, config=SimConfig(settle=0., duration=3/60))
"""
    subprocess.run([sys.executable, '-c', script], check=True)


@on_both_backends
@many
@given(walkers(most=16))
def test_energy_does_not_grow(backend, walker):
    "Without muscles, dropped as built; a joint that falls too deep gains what pushes it out again"
    config, walker = SimConfig(settle=0., duration=4.), without_muscles(walker)
    p = simulate(walker, config=config, fps=60, backend=backend).positions
    ends = np.array([(m.a, m.b) for m in walker.muscles])

    def length(q): return np.linalg.norm(q[..., ends[:, 0], :] - q[..., ends[:, 1], :], axis=-1)

    kinetic = 0.5*config.joint_mass*((np.diff(p, axis=0)/config.dt)**2).sum(axis=(1, 2))
    height = -config.gravity*config.joint_mass*p[1:, :, 1].sum(axis=1)
    stretch = 0.5*config.stiffness*((length(p[1:]) - length(p[0]))**2).sum(axis=1)
    energy = (kinetic + height + stretch)/walker.mass # for each joint; lifting one by a unit takes 60
    assert (energy - np.minimum.accumulate(energy)).max() < 6


@on_both_backends
@pytest.mark.parametrize('terrain', TERRAINS.values(), ids=TERRAINS)
def test_nobody_ends_inside_of_the_ground(backend, terrain):
    "At the end by no more than the radius of a joint, and in no frame by more than one fast step"
    sodarace = Sodarace()
    seeds = [sodarace.walker(p).value for p in SEEDS.values()]
    crowd = seeds + random_walkers(40) + [crowded(s) for s in range(4)]
    for walker in crowd:
        rollout = simulate(walker, terrain, fps=60, backend=backend)
        depth = np.stack([_depth(terrain, frame) for frame in rollout.positions])
        assert depth.max() < 1.6, 'past the middle of the ground it would be pushed out at the wrong side'
        assert depth[-1].max() < 0.3


def _depth(terrain, points):
    "How deep points lie in the solid, 0 outside; by distance to the drawn surface, not by the engine"
    deepest = np.zeros(len(points))
    for k, line in enumerate(terrain.lines):
        a, b = np.array(line[:-1]), np.array(line[1:])
        d = b - a
        t = np.clip(((points[:, None] - a)*d).sum(axis=2)/(d**2).sum(axis=1), 0, 1)
        gap = points[:, None] - (a + t[..., None]*d)
        distance = np.linalg.norm(gap, axis=2)
        nearest = distance.argmin(axis=1)
        row = np.arange(len(points))
        side = d[nearest, 0]*gap[row, nearest, 1] - d[nearest, 1]*gap[row, nearest, 0]
        deepest = np.maximum(deepest, np.where(side < 0, distance[row, nearest], 0))
    return deepest


def star(rng, reach):
    "3 to 6 joints around one, with muscles to it and often a rim"
    n = int(rng.integers(3, 7))
    angle, radius = np.sort(rng.uniform(0, 2*np.pi, n)), rng.uniform(2, reach, n)
    tips = np.stack([radius*np.cos(angle), radius*np.sin(angle)], axis=1)
    pairs = [(0, i) for i in range(1, n+1)]
    if rng.random() < 0.5: pairs += [(i, i % n + 1) for i in range(1, n+1)]
    muscles = [Muscle(a, b, *rng.uniform((-10, 0), (10, 6)).tolist()) for a, b in pairs]
    return Walker(((0., 0.), *map(tuple, tips.tolist())), tuple(muscles))


@on_both_backends
def test_stars_stay_in_the_world_or_are_refused(backend):
    "Large ones pass through wall and ground; those that fit on the map do not"
    rng, refused = np.random.default_rng(1), {12: 0, 60: 0}
    for reach in refused:
        for _ in range(60):
            walker = star(rng, reach)
            try: rollout = simulate(walker, left_wall(), fps=20, backend=backend)
            except InvalidWalker as error:
                refused[reach] += 'sank into the ground' in str(error)
                continue
            assert max(_depth(left_wall(), frame).max() for frame in rollout.positions[::5]) <= 2 + 1e-9
    assert refused[12] == 0 and refused[60] >= 2


def test_the_verdict_does_not_depend_on_the_frames():
    def is_refused(walker, fps):
        try: simulate(walker, left_wall(), fps=fps)
        except InvalidWalker: return True
        return False

    rng = np.random.default_rng(1)
    stars = [star(rng, 60) for _ in range(40)]
    seldom, often, always = ([is_refused(walker, fps) for walker in stars] for fps in (0, 10, 60))
    assert seldom == often == always and any(seldom)



@on_both_backends
@many
@example(crowded(0))
@given(walkers(amplitude=60., most=30))
def test_speeds_are_bounded(backend, walker):
    p = simulate(walker, fps=60, backend=backend).positions
    assert np.isfinite(p).all()
    assert np.linalg.norm(np.diff(p, axis=0), axis=2).max()*60 < 250


@on_both_backends
def test_crowded_and_coincident(backend):
    for seed in range(3):
        walker = crowded(seed)
        assert (walker.mass, len(walker.muscles)) == (48, 240)
        assert np.isfinite(simulate(walker, backend=backend).positions).all()
    same_place = Walker(((1., 1.),)*4, tuple(Muscle(a, b, 5.) for a, b in ((0, 1), (1, 2), (2, 3))))
    assert np.isfinite(simulate(same_place, backend=backend).positions).all()
    assert np.isfinite(simulate(Walker(((0., 0.), (3., 0.)), ()), backend=backend).positions).all()


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), float('-inf')])
def test_not_finite_is_refused_by_name(bad):
    joints, muscles = ((0., 0.), (3., 0.), (0., 3.)), (Muscle(0, 1), Muscle(1, 2))
    with pytest.raises(InvalidWalker, match='joint 2'): Walker((*joints[:2], (0., bad)), muscles)
    with pytest.raises(InvalidWalker, match='muscle 1'): Walker(joints, (muscles[0], Muscle(1, 2, bad)))
    with pytest.raises(InvalidWalker, match='muscle 1'): Walker(joints, (muscles[0], Muscle(1, 2, 3., bad)))
    with pytest.raises(InvalidWalker, match='muscle 1'): Walker(joints, (muscles[0], (1, 2, 3., 0., 0.)))
    with pytest.raises(ValueError, match='point 1 of line 0'):
        Terrain('bad', (((-1000, 0), (0, bad), (5, 1)),))
    with pytest.raises(ValueError, match='point 1 of the terrain'): from_points([(0, 0), (5, bad)])
    with pytest.raises(ValueError, match='height must be positive and finite'): right_wall(height=bad)
    with pytest.raises(ValueError, match='wavelength'): bumpy(wavelength=bad)
    with pytest.raises(ValueError, match='SimConfig.dt'): SimConfig(dt=bad)


WIDE = '''def make_walker():
    wc = walker_creator()
    a, b, c = wc.add_joint(-10, 0), wc.add_joint(10, 0), wc.add_joint(0, 9)
    wc.add_muscle(a, b, False, 3, 0)
    wc.add_muscle(b, c)
    return wc.get_walker()'''


def test_a_walker_starts_clear_of_walls():
    for width in (4., 30., 37.):
        joints = (0., 0.), (width, 0.), (width, 40.), (width/2, 40.)
        tall = Walker(joints, (Muscle(0, 1), Muscle(1, 2), Muscle(2, 3), Muscle(0, 3)))
        for terrain in (left_wall(), right_wall(), tunnel()):
            for start in (tall, mirrored(tall)):
                first = simulate(start, terrain, SimConfig(settle=0., duration=1/60)).positions[0]
                assert np.abs(first[:, 0]).max() <= 19 or terrain.name != 'tunnel'
                assert _depth(terrain, first).max() == 0
    with pytest.raises(InvalidWalker, match='room for walkers up to 37.4 wide, this one is 80'):
        simulate(Walker(((-40., 0.), (40., 0.)), (Muscle(0, 1),)), tunnel())
    assert Sodarace().evaluate(WIDE).status == 'ok'
    evaluation = Sodarace(terrain=tunnel(distance=8.)).evaluate(WIDE)
    assert evaluation.status == 'invalid_result' and 'wide' in evaluation.detail


def test_the_drawn_surface_is_the_surface():
    "A joint dropped at many places comes to rest a radius above the line, less the overlap allowed"
    config = SimConfig(friction=0.)
    valley = from_points([(-30, 12), (-10, 0), (10, 0), (30, 12)])
    for x in (-25., -15., 0., 20.):
        chain = Walker(((x, 0.), (x + 0.5, 0.), (x + 1., 0.)), (Muscle(0, 1), Muscle(1, 2)))
        deep = simulate(chain, valley, config)
        assert 0.1 < deep.positions[0][:, 1].min() < 0.35
    for terrain in TERRAINS.values():
        for line in terrain.lines:
            moved = inset(line, 2.)
            a, b, p = moved[:-1], moved[1:], np.array(line)
            middles = (p[1:] + p[:-1])/2
            d = b - a
            t = np.clip(((middles[:, None] - a)*d).sum(axis=2)/(d**2).sum(axis=1), 0, 1)
            gap = np.linalg.norm(middles[:, None] - (a + t[..., None]*d), axis=2).min(axis=1)
            assert gap == pytest.approx(np.full(len(gap), 2.), abs=0.1)


def test_terrain_errors():
    with pytest.raises(ValueError, match='same point twice'): from_points([(0, 0), (0, 0), (1, 1)])
    with pytest.raises(ValueError, match='no points'): from_points([])
    with pytest.raises(ValueError, match='at least two'): Terrain('dot', (((0., 0.),),))
    with pytest.raises(ValueError, match='no lines'): Terrain('nothing', ())
    with pytest.raises(ValueError, match='no room'): Terrain('full', (((0., 0.), (1., 0.)),), (3., -3.))
    with pytest.raises(InvalidWalker, match='two different'): Walker(((0., 0.), (1., 0.)), (Muscle(0, 0),))
    assert hash(Terrain('lists', [[[0, 0], [1, 0]]])) == hash(Terrain('lists', (((0., 0.), (1., 0.)),)))
    needle = from_points([(20, 0), (21, 9), (22, 0)])
    with pytest.raises(ValueError, match='too sharp near'): simulate(random_walkers(1)[0], needle)


def test_many_errors():
    assert simulate_many([]) == []
    wide = Walker(((-40., 0.), (40., 0.)), (Muscle(0, 1),))
    with Evaluators(2) as two:
        for evaluators in (None, two):
            with pytest.raises(InvalidWalker, match='walker 4: .*wide'):
                simulate_many([*random_walkers(4), wide], tunnel(), evaluators=evaluators)
    with pytest.raises(ValueError, match='starts must be'): robust_fitness(random_walkers(1)[0], starts=0)


def test_the_default_path_is_the_plain_loop():
    spec = importlib.util.spec_from_file_location('benchmark', ROOT/'benchmarks/simulator.py')
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    config = replace(benchmark.CONFIG, duration=2.)
    for walker in random_walkers(20):
        distance = simulate(walker, config=config).distance
        assert benchmark.naive(walker, config) == pytest.approx(distance, abs=1e-8)


def test_rest_lengths_against_the_formula():
    walker, config = random_walkers(1, seed=5)[0], SimConfig()
    xy, t = np.array(walker.joints), np.arange(600)/60
    for k, m in enumerate(walker.muscles):
        length = np.linalg.norm(xy[m.a] - xy[m.b])
        expected = length*(1 + 0.25*np.tanh(m.amplitude/5)*np.minimum(t/0.5, 1)*np.sin(2*np.pi*t + m.phase))
        assert rest_lengths(walker, xy, config)[:, k] == pytest.approx(expected, abs=1e-12)


def rank_correlation(a, b):
    def rank(v): return np.argsort(np.argsort(v))

    return np.corrcoef(rank(a), rank(b))[0, 1]


@pytest.mark.parametrize('terrain', TERRAINS.values(), ids=TERRAINS)
def test_numba_agrees_with_pymunk(terrain):
    "Bumps have valleys, where a joint touches two segments and the order decides; see the simulator's page"
    n = 300 if terrain.name == 'flat' else 100
    for duration in (2., 10.):
        config, distances = SimConfig(duration=duration), {}
        for backend in BACKENDS:
            rollouts = simulate_many(random_walkers(n), terrain, config, backend=backend)
            distances[backend] = np.array([r.distance for r in rollouts])
        pymunk, numba = distances['pymunk'], distances['numba']
        if duration == 2.:
            assert (np.abs(pymunk - numba) < 1e-6).mean() >= (0.6 if terrain.name == 'bumpy' else 1)
        else:
            assert rank_correlation(pymunk, numba) >= {'flat': 0.999, 'bumpy': 0.9}.get(terrain.name, 0.99)


def test_a_walker_of_lists_is_the_same_and_can_be_hashed():
    lists = Walker([[0., 0.], [1., 0.]], [[0, 1, 2.]])
    tuples = Walker(((0., 0.), (1., 0.)), (Muscle(0, 1, 2.),))
    assert lists == tuples and hash(lists) == hash(tuples) and lists.muscles[0].phase == 0.


def test_the_population_is_what_its_file_says():
    population = json.loads(gzip.decompress((ROOT/'elm_nb/data/walkers.json.gz').read_bytes()))
    assert len(population) >= 500
    sodarace = Sodarace()
    for entry in population[::25]:
        walker = sodarace.walker(entry['program']).value
        assert [list(j) for j in walker.joints] == entry['joints']
        assert simulate(walker).distance == pytest.approx(entry['outcome']['flat'][0], abs=0.01)
