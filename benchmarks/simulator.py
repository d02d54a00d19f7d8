"""How fast is the simulator? elm_nb/data/simulator.json

    python benchmarks/simulator.py

Each walker lives through the same 11 seconds on flat ground: one of settling, ten of walking. In every
round all variants take turns; times are CPU milliseconds of one core and medians over the rounds, ratios
are medians of the ratios within a round. Wall-clock times of `simulate_many` with one and with two
processes are for each walker.
"""
import json
import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import pymunk

from elm_nb.evaluators import Evaluators
from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.sodarace.simulator import SimConfig, placed, simulate, simulate_many, swing
from elm_nb.sodarace.terrain import flat

OUT = Path(__file__).parent.parent/'elm_nb/data/simulator.json'
CONFIG = SimConfig(settle=1., rest_distance=0.)
WALKERS = {'square': 'square', 'radial': 'radial', '8x3 grid': 'cppn_fixed'}
ROUNDS, MANY = 15, 64


def naive(walker, config=CONFIG):
    "Distance on flat ground by the plain loop: every rest length computed and set in every step"
    space = pymunk.Space()
    space.gravity = (0, config.gravity)
    space.damping = config.damping
    space.iterations = config.iterations
    space.collision_slop = config.collision_slop
    space.collision_bias = config.collision_bias
    r = config.ground_radius
    ground = pymunk.Segment(space.static_body, (-1000, -r), (1000, -r), r)
    ground.friction = config.friction
    space.add(ground)
    bodies, springs = [], []
    for p in placed(walker, flat(), config):
        body = pymunk.Body(config.joint_mass, math.inf)
        body.position = tuple(p)
        disc = pymunk.Circle(body, config.joint_radius)
        disc.friction = config.friction
        disc.filter = pymunk.ShapeFilter(group=1)
        space.add(body, disc)
        bodies.append(body)
    for m in walker.muscles:
        a, b = bodies[m.a], bodies[m.b]
        length = (a.position - b.position).length
        spring = pymunk.DampedSpring(a, b, (0, 0), (0, 0), length, config.stiffness, config.spring_damping)
        space.add(spring)
        springs.append((spring, spring.rest_length, float(swing(m.amplitude, config)), m.phase))
    for step in range(round((config.settle + config.duration)/config.dt)):
        t = step*config.dt - config.settle
        if step == round(config.settle/config.dt): start = sum(b.position.x for b in bodies)/len(bodies)
        ramp = min(max(t/config.ramp, 0), 1)
        for spring, length, share, phase in springs:
            spring.rest_length = length*(1 + share*ramp*math.sin(2*math.pi*t/config.period + phase))
        space.step(config.dt)
    return sum(b.position.x for b in bodies)/len(bodies) - start


def timed(clock, action):
    start = clock()
    action()
    return clock() - start


def measure(walker, two):
    "Milliseconds, and how many times faster than the plain loop"
    variants = {
        'plain loop': partial(naive, walker),
        'pymunk': partial(simulate, walker, config=CONFIG),
        'numba': partial(simulate, walker, config=CONFIG, backend='numba')}
    for v in variants.values(): v()
    times = np.array([[timed(time.process_time, v) for v in variants.values()] for _ in range(ROUNDS)])
    many = {}
    for backend in ('pymunk', 'numba'):
        for n,evaluators in ((1, None), (2, two)):
            run = partial(simulate_many, [walker]*MANY, config=CONFIG, backend=backend, evaluators=evaluators)
            many[f'{backend}, {n}'] = timed(time.perf_counter, run)/MANY*1e3
    alone = np.median(times, axis=0)*1e3
    faster = np.median(times[:, :1]/times, axis=0)
    return {
        'alone': dict(zip(variants, alone.tolist())),
        'faster': dict(zip(variants, faster.tolist())),
        'many': many}


if __name__ == '__main__':
    sodarace = Sodarace()
    walkers = {name: sodarace.walker(SEEDS[seed]).value for name, seed in WALKERS.items()}
    with Evaluators(2) as two:
        for backend in ('pymunk', 'numba'): # starts the processes, compiles
            simulate_many(list(walkers.values())*4, backend=backend, evaluators=two)
        measured = {name: measure(walker, two) for name, walker in walkers.items()}
    OUT.write_text(json.dumps(measured, indent=1) + '\n')
