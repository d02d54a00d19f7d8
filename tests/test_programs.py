"Programs as evolution writes them: untidy, and fine"
import ast
import hashlib

import pytest
from elm_nb.search import genetic
from elm_nb.search.genetic import (GeneticMutator, OPERATORS, cross_over, grow_expression, mutate_statement,
    perturb_constant, replace_expression)
from elm_nb.sodarace.domain import SEEDS, Sodarace

PROGRAMS = {} # Source by name, with the numbers of joints, muscles and swinging muscles that its walker has

PROGRAMS['default arguments'] = 5, 8, 4, '''
def make_walker(n=4, radius=5.0, *, strength=3):
    wc = walker_creator()
    turn = 2 * math.pi / n
    rim = [wc.add_joint(radius * math.cos(k * turn), radius * math.sin(k * turn)) for k in range(n)]
    hub = wc.add_joint(0, 0)
    for k in range(n):
        wc.add_muscle(rim[k], rim[k - 1])
        wc.add_muscle(rim[k], hub, False, strength, k / n)
    return wc.get_walker()'''

PROGRAMS['parameters that nothing uses'] = 4, 5, 2, '''
def make_sensor(wc):
    return wc.add_joint(99, 99)

def make_square(wc, x0, y0, x1, y1, color=None, angle=0.0, *rest, **options):
    return (wc.add_joint(x0, y0), wc.add_joint(x0, y1), wc.add_joint(x1, y1), wc.add_joint(x1, y0))

def make_walker():
    wc = walker_creator()
    a, b, c, d = make_square(wc, 0, 0, 5, 7, "red", 1.5, 2, 3, speed=4)
    wc.add_muscle(a, b)
    wc.add_muscle(b, c, False, 4.0, 0.0)
    wc.add_muscle(c, d)
    wc.add_muscle(d, a, False, 4.0, 1.0)
    wc.add_muscle(a, c)
    return wc.get_walker()'''

PROGRAMS['tuples and lists added'] = 9, 11, 8, '''
def make_square(wc, x0, y0, x1, y1):
    return (wc.add_joint(x0, y0), wc.add_joint(x0, y1), wc.add_joint(x1, y1), wc.add_joint(x1, y0))

def make_walker():
    wc = walker_creator()
    sides = make_square(wc, 0, 0, 4, 4) + make_square(wc, 10, 0, 14, 4)
    for k in range(len(sides)):
        wc.add_muscle(sides[k], sides[(k + 1) % len(sides)], False, 2.0, k)
    joints = [wc.add_joint(7, 9)] + list(sides)
    joints += joints[:1] * 2
    for j in joints[1:4]:
        wc.add_muscle(joints[-1], j)
    return wc.get_walker()'''

PROGRAMS['modulo indexing'] = 6, 15, 9, '''
def make_walker():
    wc = walker_creator()
    ring = []
    for k in range(6):
        ring.append(wc.add_joint(5 * math.cos(k), 5 * math.sin(k)))
    for k in range(6):
        wc.add_muscle(ring[k], ring[(k + 1) % 6])
        wc.add_muscle(ring[k], ring[(k + 2) % 6], False, 3.0, k % 2)
        wc.add_muscle(ring[k], ring[(k + 3) % 6], False, -3.0, k // 2)
    return wc.get_walker()'''

PROGRAMS['functions for query_cppn'] = 8, 10, 7, '''
def make_walker():
    wc = walker_creator()
    reach = 1

    def connect(x1, y1, x2, y2):
        return abs(x1 - x2) + abs(y1 - y2) == reach

    def amp(x1, y1, x2, y2):
        return x1

    def phase(x1, y1, x2, y2):
        return np.sign(x1 - 1) * np.pi
    query_cppn(wc, 4, 2, 1.5, connect, amp, phase)
    return wc.get_walker()'''

PROGRAMS['lambdas for query_cppn, and legs added after'] = 8, 18, 10, '''
def make_walker():
    wc = walker_creator()
    always = lambda *pair: True
    query_cppn(wc, 3, 2, 2.0, always, lambda a, b, c, d: (a + b + c + d) % 2 * 5, lambda *p: sum(p) / 4)
    for x in [-3, 8]:
        foot = wc.add_joint(x, -2)
        for j in range(0, 6, 2):
            wc.add_muscle(foot, j, is_distance=x < 0 or j > 2, amplitude=2)
    return wc.get_walker()'''

PROGRAMS['import math at the top'] = 3, 3, 2, '''
import math
import math as m
import random

def make_walker():
    wc = walker_creator()
    random.seed(3)
    a, b, c = [wc.add_joint(math.floor(6 * m.cos(k)) + random.random() / 9, 6 * m.sin(k)) for k in range(3)]
    wc.add_muscle(a, b, False, math.sqrt(2), math.pi)
    wc.add_muscle(b, c, False, 1e-3, math.e)
    wc.add_muscle(c, a)
    return wc.get_walker()'''

PROGRAMS['import numpy inside the function'] = 3, 3, 3, '''
def make_walker():
    import numpy as np
    import numpy
    wc = walker_creator()
    a, b, c = [wc.add_joint(x, np.clip(numpy.abs(x) * 3, 0, 9)) for x in np.linspace(-5, 5, 3)]
    for i, j in [(a, b), (b, c), (c, a)]:
        wc.add_muscle(i, j, False, np.maximum(i, j), np.sign(i - j))
    return wc.get_walker()'''

PROGRAMS['imports of names'] = 4, 6, 2, '''
from math import sin, pi
from numpy import sign, cos as cosine

def make_walker():
    from numpy import sqrt
    wc = walker_creator()
    corners = [wc.add_joint(5 * cosine(k * pi / 2), 5 * sin(k * pi / 2)) for k in range(4)]
    for i in range(4):
        for j in range(i):
            wc.add_muscle(corners[i], corners[j], (i + j) % 2, sqrt(9), sign(i - 2))
    return wc.get_walker()'''

PROGRAMS['import of numpy with a comment'] = 3, 2, 1, '''
import numpy as np  # for sign
def make_walker():
    wc = walker_creator()
    a, b, c = wc.add_joint(0, 0), wc.add_joint(4, np.sign(4)), wc.add_joint(8, 0)
    wc.add_muscle(a, b)
    wc.add_muscle(b, c, False, np.hypot(3, 4), np.pi)
    return wc.get_walker()'''

PROGRAMS['line ends of Windows'] = 3, 2, 1, '''import numpy as np
def make_walker():
    wc = walker_creator()
    a, b, c = wc.add_joint(0, 0), wc.add_joint(4, np.sign(4)), wc.add_joint(8, 0)
    wc.add_muscle(a, b)
    wc.add_muscle(b, c, False, 5)
    return wc.get_walker()'''.replace('\n', '\r\n')

PROGRAMS['no imports'] = 5, 4, 3, '''
def make_walker():
    wc = walker_creator()
    last = None
    for k in np.arange(0, 5):
        j = wc.add_joint(k * 2, math.fabs(np.sin(k)) + np.power(k, 2) / 4)
        if last is not None:
            wc.add_muscle(last, j, k > 3, np.deg2rad(90), np.mod(k, 3))
        last = j
    return wc.get_walker()'''

PROGRAMS['a number where a flag is meant'] = 4, 6, 2, '''
def make_walker():
    wc = walker_creator()
    a, b, c, d = wc.add_joint(0, 0), wc.add_joint(5, 0), wc.add_joint(5, 5), wc.add_joint(0, 5)
    wc.add_muscle(a, b, 0.0, 1.0, 0.5)
    wc.add_muscle(b, c, 1, 3, 2)
    wc.add_muscle(c, d, 0, 0, 1)
    wc.add_muscle(d, a, None, 2.0)
    wc.add_muscle(a, c, 5.0)
    wc.add_muscle(b, d, 'no', 4, 4)
    return wc.get_walker()'''

PROGRAMS['self and repeated muscles'] = 3, 3, 1, '''
def make_walker():
    wc = walker_creator()
    joints = [wc.add_joint(0, 0), wc.add_joint(6, 0), wc.add_joint(3, 5)]
    wc.add_muscle(joints[0], joints[1], False, 5.0, 0.0)
    for i in joints:
        for j in joints:
            wc.add_muscle(i, j)
            wc.add_muscle(j, i, False, 9.0, 1.0)
    return wc.get_walker()'''

PROGRAMS['hundreds of joints'] = 48, 47, 47, '''
def make_walker():
    wc = walker_creator()
    joints = [wc.add_joint(k * 0.2, 0) for k in range(300)]
    for k in range(299):
        wc.add_muscle(joints[k], joints[k + 1], False, 5.0, k % 7)
    return wc.get_walker()'''

PROGRAMS['a hub with too many spokes'] = 13, 22, 10, '''
def make_walker():
    wc = walker_creator()
    hub = wc.add_joint(0, 0)
    rim = [wc.add_joint(8 * math.cos(k * math.pi / 6), 8 * math.sin(k * math.pi / 6)) for k in range(12)]
    for k in range(12):
        wc.add_muscle(hub, rim[k], False, 5.0, k)
    for k in range(12):
        wc.add_muscle(rim[k], rim[k - 1])
    return wc.get_walker()'''

PROGRAMS['joints in the same place'] = 4, 4, 1, '''
def make_square(wc, x, size):
    j = [wc.add_joint(x, 0), wc.add_joint(x + size, 0), wc.add_joint(x + size, size), wc.add_joint(x, size)]
    for k in range(4):
        wc.add_muscle(j[k], j[(k + 1) % 4], k < 3, 5.0, 0.0)
    return j

def make_walker():
    wc = walker_creator()
    for shift in (0, 0.01, 0.02):
        make_square(wc, shift, 6)
    return wc.get_walker()'''

PROGRAMS['keyword arguments'] = 3, 3, 2, '''
def make_walker():
    wc = walker_creator()
    a = wc.add_joint(x=0, y=0)
    b = wc.add_joint(y=0, x=6)
    c = wc.add_joint(3, y=5)
    wc.add_muscle(j0=a, j1=b, is_distance=False, amplitude=4.0, phase=0.5)
    wc.add_muscle(b, j1=c, phase=1, amplitude=2, is_distance=False)
    wc.add_muscle(c, a, amplitude=7.0)
    return wc.get_walker()'''

PROGRAMS['dict of joints, f-strings, comprehensions'] = 6, 9, 4, '''
def make_walker() -> dict:
    """Builds two rows of joints."""
    wc: walker_creator = walker_creator()
    joints = {f'{side}{k}': wc.add_joint(k * 4, 3 if side == 'top' else 0)
              for side in ('top', 'low') for k in range(3)}
    pairs = [(f'{a}{k}', f'{b}{k + 1}') for a in ('top', 'low') for b in ('top', 'low') for k in range(2)]
    for name, other in sorted(pairs, key=lambda p: p[1]):
        same = name[:3] == other[:3]
        wc.add_muscle(joints[name], joints[other], same, amplitude=len(f"{name:>5}"), phase=-1)
    [wc.add_muscle(j, joints['low0']) for n, j in joints.items() if n == 'top0']
    return wc.get_walker()'''

PROGRAMS['while, break, continue, else'] = 7, 6, 3, '''
def make_walker():
    wc = walker_creator()
    x, joints = 0.0, []
    while True:
        x += 1.5
        if int(x) % 4 == 3: continue
        if x > 15: break
        joints.append(wc.add_joint(x, -x/2 if len(joints) & 1 else x/2))
    else:
        joints = None
    k = 0
    while k < len(joints) - 1:
        wc.add_muscle(*joints[k:k + 2], *(True, 0) if k % 2 else (False, 6), 0.5)
        k = k + 1
    return wc.get_walker()'''

PROGRAMS['star arguments'] = 4, 4, 4, '''
POINTS = [(0, 0), (9, 1), (8, 7), (1, 6)]
SWING = dict(is_distance=False, amplitude=3.0, phase=0.0)

def build(wc, *points, **swing):
    joints = [wc.add_joint(*p) for p in points]
    first, *others = joints
    for a, b in zip(joints, others + [first]):
        wc.add_muscle(a, b, **{**swing, 'phase': a})

def make_walker():
    wc = walker_creator()
    build(wc, *POINTS, **SWING)
    return wc.get_walker()'''

PROGRAMS['try and except'] = 3, 3, 2, '''
def safe(wc, *args):
    try:
        wc.add_muscle(*args)
    except (ValueError, TypeError) as error:
        return str(error)
    finally:
        pass

def make_walker():
    wc = walker_creator()
    joints = [wc.add_joint(k * 3, k % 2) for k in range(3)]
    try:
        joints.append(wc.add_joint(None, 0))
    except Exception:
        joints.append(None)
    for k in range(4):
        for m in range(k):
            safe(wc, joints[m], joints[k], k == 1, 4.0, 1 / k)
    assert len(joints) == 4, 'four'
    return wc.get_walker()'''

PROGRAMS['prints, and calls itself'] = 3, 2, 1, '''
print("building", end=" ")
def make_walker():
    wc = walker_creator()
    a, b, c = (wc.add_joint(k, k * k) for k in range(3))
    print(f"{a=}", b, c, sep=", ")
    wc.add_muscle(a, b)
    wc.add_muscle(b, c, False, 4.0)
    walker = wc.get_walker()
    print(walker)
    return walker

walker = make_walker()
if __name__ == "__main__":
    print(make_walker())
make_walker()'''

PROGRAMS['global constants and counters'] = 6, 5, 5, '''
LEGS, WIDTH = 5, 2.5
HALF = LEGS // 2
count = 0

def leg(wc, hip, n=LEGS):
    global count
    count += 1
    foot = wc.add_joint((count - HALF) * WIDTH, -6)
    wc.add_muscle(hip, foot, False, count, count / n)

def make_walker():
    wc = walker_creator()
    hip = wc.add_joint(0, 0)
    for _ in range(LEGS): leg(wc, hip)
    return wc.get_walker()'''

PROGRAMS['a tree by recursion'] = 15, 14, 8, '''
def branch(wc, parent, x, y, depth):
    if depth == 0:
        return 1
    leaves = 0
    for side in (-1, 1):
        child = wc.add_joint(x + side * 1.5 ** depth, y + 3)
        wc.add_muscle(parent, child, depth > 1, 5.0, side)
        leaves += branch(wc, child, x + side * 1.5 ** depth, y + 3, depth - 1)
    return leaves

def make_walker():
    wc = walker_creator()
    leaves = branch(wc, wc.add_joint(0, 0), 0, 0, 3)
    return wc.get_walker() if leaves == 8 else None'''

PROGRAMS['a class as a container'] = 7, 9, 6, '''
from dataclasses import dataclass

@dataclass
class Foot:
    joint: int
    phase: float = 0.0

class Leg:
    count = 0
    def __init__(self, wc, x):
        self.hip, self.foot = wc.add_joint(x, 4), Foot(wc.add_joint(x, 0), phase=x / 4)
        Leg.count += 1

def make_walker():
    wc = walker_creator()
    legs = [Leg(wc, x) for x in (0, 4, 8)]
    head = wc.add_joint(4, 9)
    for leg in legs:
        wc.add_muscle(leg.hip, leg.foot.joint, False, 5.0, leg.foot.phase)
        wc.add_muscle(leg.hip, head)
    for a, b in zip(legs, legs[1:]):
        wc.add_muscle(a.hip, b.foot.joint, False, Leg.count, 0)
    wc.add_muscle(legs[0].foot.joint, legs[-1].foot.joint, False, -2.0)
    return wc.get_walker()'''

sodarace = Sodarace()

@pytest.mark.parametrize('name', PROGRAMS)
def test_program(name):
    *counts, program = PROGRAMS[name]
    outcome = sodarace.walker(program)
    assert outcome.status == 'ok', outcome.detail
    walker = outcome.value
    assert [len(walker.joints), len(walker.muscles), sum(m.amplitude != 0 for m in walker.muscles)] == counts

STRUCTURAL = replace_expression, grow_expression, cross_over, mutate_statement, perturb_constant
BOTH = pytest.mark.parametrize('operators', [OPERATORS, STRUCTURAL], ids=['default', 'structural'])

def children(program, n, seed, operators=OPERATORS):
    mates = SEEDS.values() if cross_over in operators else ()
    return [p.applied for p in GeneticMutator(operators).propose(program, n, seed, mates)]

def test_same_children():
    "The children of a seed are what they were when each was parsed from its parent's text and written twice"
    digest = hashlib.sha256()
    for k,program in enumerate([*SEEDS.values(), *(program for *_, program in PROGRAMS.values())]):
        for child in children(program, 16, [7, k]):
            digest.update(repr((child.source, child.status)).encode())
    assert digest.hexdigest()[:16] == 'dd9b70b460247a7d'

ODD = ['x = 3 ** 2', 'def f():\n    return (-3) ** x + 5 ** -2 + x[-1] - -4', 'x = 5 .real + (5).imag',
    'def f(a=-1, *b, c=2):\n    if a < 3: return 1\n    elif a > 5: return 2\n    else:\n        if c: a = 1',
    'def f():\n    "doc"\n    x = "a\\nb" + 5*"c"\n    y = f"{x}{3:>{5}}"\n    """later"""\n    return 2*x',
    'match x:\n    case -3: y = 1',
    'def f():\n' + ''.join(' '*k + 'if 1:\n' for k in range(1, 60)) + ' '*60 + 'x = 1',
    'x = ' + '('*120 + '1 + 2' + ')*3'*120, 'x = ' + '9'*5000]

@BOTH
def test_children_are_canonical(operators):
    "Each child is what reading and writing it again would make of it, or it is malformed"
    for k,program in enumerate([*SEEDS.values(), *(program for *_, program in PROGRAMS.values()), *ODD]):
        for _ in range(4):
            found = children(program, 20, [8, k], operators)
            for child in found:
                if child.status != 'malformed': assert ast.unparse(ast.parse(child.source)) == child.source
            program = found[0].source # the next are children of a child

LAYOUTS = r'''
def f(n):
    with ((a, b)):
        x = 1
        y = 2
    for i in range(3):
        z = 4
    return 5
---
def f(ä):
    if ä < 1: b = 2; c = 3 # comment
    elif ä < 3:
        b = 4
    else:
        c = -5
    return b*c
---
@cache
def f(a):
    @cache
    def g(b, c=2):
        return a + b*3

    return [g(x) for x in range(4)]
---
def f(a):
    try:
        b = a/2
    except TypeError:
        b = 1
    else:
        b += 1
    finally:
        c = 3
    while b < 4:
        b *= 2
    else:
        c -= 1
    return b - c
---
def f(a):
    match a:
        case 1 | 2: b = 3
        case [x, *_] if x > 4:
            b = x + 1
    return b
---
async def f(a):
    async with a as b:
        g = lambda x, y=2: (x + y)*3
    return g(1) + \
        4'''.split('\n---\n')

@BOTH
def test_statements_alone_make_the_same_children(monkeypatch, operators):
    "As writing the whole tree, and reading and writing it again"
    def all_children():
        programs = [*SEEDS.values(), *(program for *_, program in PROGRAMS.values()), *LAYOUTS]
        return [children(program, 60, [5, k], operators) for k,program in enumerate(programs)]

    found = all_children()
    def whole(self, replaced): return genetic._again(ast.unparse(self.tree))
    monkeypatch.setattr(genetic._Parent, '_written', whole)
    assert found == all_children()

@BOTH
def test_parent_is_left_as_it_was(operators):
    "However many children a program had before, the next is the same"
    rest = children(SEEDS['radial'], 40, [9], operators)
    assert children(SEEDS['radial'], 1, [9], operators) == rest[:1]
    for _ in range(3): assert children(SEEDS['radial'], 40, [9], operators) == rest
