"The promises of the simulator, on walkers that hypothesis makes up"
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elm_nb.domain import SEEDS, Sodarace
from elm_nb.simulator import SimConfig, simulate
from elm_nb.terrain import bumpy, flat, left_wall, right_wall, tunnel
from elm_nb.walker import Muscle, Walker

TWO_SECONDS = SimConfig(duration=2.)


@st.composite
def walkers(draw):
    "Joints on a jittered grid, each linked to the one before and to some other"
    n = draw(st.integers(3, 12))
    number = lambda low, high: draw(st.floats(low, high, allow_nan=False))
    joints = tuple((3.*(i % 4) + number(-1, 1), 3.*(i // 4) + number(-1, 1)) for i in range(n))
    links = {(i-1, i) for i in range(1, n)} | {tuple(sorted((i, draw(st.integers(0, n-1))))) for i in range(n)}
    return Walker(joints, tuple(Muscle(a, b, number(-10, 10), number(0, 6)) for a,b in sorted(links) if a != b))


@settings(max_examples=30, deadline=None)
@given(walkers(), st.floats(-20, 20))
def test_shift_and_mirror(walker, shift):
    moved = simulate(walker, config=TWO_SECONDS).distance
    shifted = replace(walker, joints=tuple((x+shift, y+shift) for x,y in walker.joints))
    mirrored = replace(walker, joints=tuple((-x, y) for x,y in walker.joints))
    assert simulate(shifted, config=TWO_SECONDS).distance == pytest.approx(moved, abs=1e-6)
    assert simulate(mirrored, config=TWO_SECONDS).distance == pytest.approx(-moved, abs=1e-6)


@pytest.mark.parametrize('name', SEEDS)
def test_at_rest_scores_nothing(name):
    "Once at rest: a wheel without muscles rocks for a while"
    walker = Sodarace().walker(SEEDS[name]).value
    still = replace(walker, muscles=tuple(m._replace(amplitude=0.) for m in walker.muscles))
    assert abs(simulate(still, config=SimConfig(settle=120.)).distance) < 1e-6


def test_same_bits_in_every_process():
    script = ('from elm_nb.domain import *\nfrom elm_nb.simulator import simulate\n'
              'print(*[simulate(Sodarace().walker(p).value).distance.hex() for p in SEEDS.values()])')
    sodarace = Sodarace()
    here = [simulate(sodarace.walker(p).value).distance.hex() for p in SEEDS.values()]
    for _ in range(2):
        assert subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True).stdout.split() == here


@pytest.mark.parametrize('terrain', [flat(), left_wall(), right_wall(), bumpy(), tunnel()], ids=lambda t: t.name)
def test_nobody_falls_through(terrain):
    sodarace = Sodarace()
    for program in SEEDS.values():
        positions = simulate(sodarace.walker(program).value, terrain, fps=10).positions
        assert np.isfinite(positions).all()
        assert (positions[...,1] > terrain.ground(positions[...,0].ravel()).reshape(positions.shape[:2]) - 1).all()
