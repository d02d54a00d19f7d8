"Programs as evolution writes them, with habits of many kinds: each builds the walker that it means"
import json

import pytest
from elm_nb.search.run import RunError
from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, resume, start

HEAD = 'def make_walker():\n    wc = walker_creator()\n'
TAIL = '    return wc.get_walker()\n'
SQUARE = '''def make_square(wc, x0, y0, x1, y1):
    j0 = wc.add_joint(x0, y0)
    j1 = wc.add_joint(x0, y1)
    j2 = wc.add_joint(x1, y1)
    j3 = wc.add_joint(x1, y0)
    return j0, j1, j2, j3
'''

def walker(*lines, before=''): return before + HEAD + ''.join(f'    {line}\n' for line in lines) + TAIL

def triangle(*lines, before=''):
    "Three joints with two muscles that swing, and some more lines"
    return walker('a, b, c = wc.add_joint(0, 0), wc.add_joint(4, 0), wc.add_joint(2, 3)',
    'wc.add_muscle(a, b)',
        'wc.add_muscle(b, c, False, 3, 0)', 'wc.add_muscle(c, a, False, 3, 1)', *lines, before=before)

# (program, joints, muscles, what was ignored, by kind)
PROGRAMS = {
'comparison_as_amplitude': (walker('sides = make_square(wc, 0, 0, 8, 8)', 'center = wc.add_joint(4, 4)',
    'for k in range(4):', '    wc.add_muscle(sides[k], sides[k - 1], False, k == 2, k > 1)',
    '    wc.add_muscle(sides[k], center, False, k < 3, 0.5)', before=SQUARE), 5, 8, {}),
'amplitudes_in_the_hundreds': (walker('sides = make_square(wc, 0, 0, 8, 8)', 'for k in range(4):',
    '    wc.add_muscle(sides[k], sides[(k + 1) % 4], False, 120 * k - 300, 0)', before=SQUARE), 4, 4,
    {'numbers': 2}),
'phases_of_many_turns': (triangle('d = wc.add_joint(2, -3)', 'wc.add_muscle(a, d, False, 2.0, 40)',
    'wc.add_muscle(b, d, False, 2.0, -360)'), 4, 5, {'phases': 2}),
'coordinates_beyond_the_world': (triangle('wc.add_joint(1e4, -1e4)'), 3, 3, {'numbers': 2, 'loose': 1}),
'one_joint_refused_all_muscles': (walker('hub = wc.add_joint(5, 5)',
    'rim = [wc.add_joint(5 + 4*math.cos(k), 5 + 4*math.sin(k)) for k in range(11)]',
    'for j in rim: wc.add_muscle(hub, j, False, 4, j)', before='import math\n'), 11, 10,
    {'muscles': 1, 'phases': 5, 'loose': 1}),
'three_hundred_points': ('''import math
def make_circle(wc, cx, cy, radius, num_points):
    points = []
    for k in range(num_points):
        angle = 2 * math.pi * k / num_points
        points.append(wc.add_joint(cx + radius * math.cos(angle), cy + radius * math.sin(angle)))
    return points
''' + walker('num_points = 300', 'rim = make_circle(wc, 6, 6, 6, num_points)', 'hub = wc.add_joint(6, 6)',
    'for k in range(num_points):', '    wc.add_muscle(rim[k], rim[(k + 1) % num_points])',
    '    wc.add_muscle(rim[k], hub, False, k / num_points, k / num_points)'), 48, 56,
    {'joints': 253, 'muscles': 544}),
'tuples_joined': (walker('sides = make_square(wc, 0, 0, 4, 4)', 'sides += make_square(wc, 6, 0, 10, 4)',
    'for k in range(len(sides)):', '    wc.add_muscle(sides[k], sides[(k + 1) % len(sides)], False, k, k)',
    before=SQUARE), 8, 8, {'phases': 1}),
'a_list_that_takes_tuples': (walker('sides = [wc.add_joint(5, 9)]', 'for x in (0, 6):',
    '    sides.extend(make_square(wc, x, 0, x + 4, 4))',
    'for a in sides:', '    wc.add_muscle(a, sides[0], False, 5, a)', before=SQUARE), 9, 8,
    {'muscles': 1, 'phases': 2}),
'tabs': (triangle().replace('    ', '\t'), 3, 3, {}),
'default_arguments': ('''def leg(wc, top, x=2, y=-3, strength=6.0, phase=0):
    foot = wc.add_joint(x, y)
    wc.add_muscle(top, foot, False, strength, phase)
    return foot
''' + triangle('feet = [leg(wc, a), leg(wc, b, 5), leg(wc, b, x=7, phase=3)]',
    'for f in feet: wc.add_muscle(f, c)'), 6, 9, {}),
'joints_as_conditions': (triangle('d = wc.add_joint(6, 3)', 'if d: wc.add_muscle(b, d, True)',
    'if a: wc.add_muscle(a, d)', 'wc.add_muscle(c, d and c, False, 1, 1)',
    'wc.add_muscle(a or c, d, False, 2, 2)'),
    4, 5, {'muscles': 1}),
'comparison_as_joint': (triangle('wc.add_muscle(a == b, c > b, False, 9, 9)'),
    3, 3, {'muscles': 1, 'phases': 1}),
'muscle_to_itself_and_twice': (triangle('wc.add_muscle(a, a)', 'wc.add_muscle(b, a, False, 5, 5)'), 3, 3,
    {'muscles': 2}),
'joint_on_a_joint': (triangle('d = wc.add_joint(0, 0.01)', 'wc.add_muscle(d, c)'), 3, 3,
    {'joints': 1, 'muscles': 1}),
'two_bodies': (walker('for x in (0, 12):', '    sides = make_square(wc, x, 0, x + 4, 4)',
    '    for k in range(4):', '        wc.add_muscle(sides[k], sides[k - 1], False, 4, k)',
    'wc.add_muscle(wc.add_joint(6, 6), sides[0])', before=SQUARE), 5, 5, {'loose': 4}),
'unused_joints': (walker('grid = [[wc.add_joint(3 * x, 3 * y) for y in range(4)] for x in range(4)]',
    'for x in range(3):', '    wc.add_muscle(grid[x][0], grid[x + 1][0], False, 7, x)'), 4, 3, {'loose': 12}),
'flag_is_a_number': (triangle('d = wc.add_joint(5, 5)', 'wc.add_muscle(c, d, 0, 5, 0)',
    'wc.add_muscle(b, d, 0.5, 5, 0)', 'wc.add_muscle(a, d, "", 2, 1)'), 4, 6, {}),
'names_of_arguments': (walker('a = wc.add_joint(x=0, y=0)', 'b = wc.add_joint(y=0, x=5)',
    'c = wc.add_joint(2, y=4)',
    'wc.add_muscle(j0=a, j1=b, is_distance=False, amplitude=3, phase=1)', 'wc.add_muscle(b, c, phase=2)',
    'wc.add_muscle(c, a, amplitude=5, is_distance=None)'), 3, 3, {}),
'recursion': ('''def branch(wc, root, x, y, depth):
    if depth == 0:
        return
    for side in (-1, 1):
        tip = wc.add_joint(x + side * depth, y + depth)
        wc.add_muscle(root, tip, False, depth, side)
        branch(wc, tip, x + side * depth, y + depth, depth - 1)
''' + walker('root = wc.add_joint(6, 0)', 'branch(wc, root, 6, 0, 3)'), 14, 14, {'joints': 1}),
'numpy': (walker('xs = np.linspace(0, 10, 6)', 'low = [wc.add_joint(x, 0) for x in xs]',
    'high = [wc.add_joint(x, 2 + np.sin(x)) for x in xs]', 'for k in range(6):',
    '    wc.add_muscle(low[k], high[k], False, np.sign(k - 2) * 3, np.pi * k)',
    '    if k: wc.add_muscle(low[k - 1], high[k], False, np.clip(k, 2, 4), k)',
    '    if k: wc.add_muscle(high[k - 1], low[k])', before='import numpy as np\n'), 12, 16, {'phases': 4}),
'lambdas_and_comprehensions': (walker('f = lambda k: (k % 3) * 4 - 4',
    'js = [wc.add_joint(2 * k, f(k)) for k in range(9)]',
    '[wc.add_muscle(i, j, False, f(i), j - i) for i in js for j in js if 0 < j - i < 3]'), 9, 15, {}),
'while_and_break': (walker('x, last = 0.0, wc.add_joint(0, 0)', 'while True:', '    x = x + 1.7',
    '    if x > 9: break', '    j = wc.add_joint(x, x % 3)', '    wc.add_muscle(last, j, False, x, -x)',
    '    last = j'),
    6, 5, {'phases': 2}),
'dictionary_of_joints': (walker('j = {}', 'for name in "head body tail".split():',
    '    j[name] = wc.add_joint(len(j) * 4, len(name))',
    'wc.add_muscle(j["head"], j["body"], False, True, False)',
    'wc.add_muscle(j["tail"], j.get("body"), not True, 8.0)'), 3, 2, {}),
'two_creators': ('''def other():
    wc = walker_creator()
    wc.add_joint(50, 50)
    return wc
''' + triangle('spare = other()', 'spare.add_joint(1, 1)'), 3, 3, {}),
'try_and_except': (triangle('try:', '    wc.add_muscle(a, 99)', 'except ValueError:',
    '    wc.add_joint(2, -2)'),
    3, 3, {'loose': 1}),
'integer_division_and_power': (walker('n = 10 // 3',
    'js = [wc.add_joint(k ** 2, -k % n) for k in range(n + 2)]',
    'for k in range(n + 1): wc.add_muscle(js[k], js[k + 1], k % 2, 2 ** k, 1 / (k + 1))'), 5, 4, {}),
'docstring_comments_globals': ('"""Walks."""\nGAIT = (5.0, 1.5)  # amplitude, phase\n'
    + triangle('"""Adds a tail"""', 'tail = wc.add_joint(-3, 1)  # behind',
    'wc.add_muscle(a, tail, False, *GAIT)',
    'wc.add_muscle(c, tail)'), 4, 5, {}),
}

@pytest.fixture(scope='module')
def sodarace():
    domain = Sodarace()
    yield domain
    domain.sandbox.close()

@pytest.mark.parametrize('name', PROGRAMS)
def test_it_builds_the_walker_that_it_means(name, sodarace):
    program, joints, muscles, ignored = PROGRAMS[name]
    outcome = sodarace.walker(program)
    assert outcome.status == 'ok', outcome.detail
    found = outcome.value
    assert (found.mass, len(found.muscles)) == (joints, muscles)
    assert {kind: n for kind,n in found.ignored._asdict().items() if n} == ignored
    assert sodarace.evaluate(program).status == 'ok'

def test_there_are_two_dozen(): assert len(PROGRAMS) >= 24

@pytest.mark.parametrize('call', ['wc.add_joint("3", 0)', 'wc.add_joint(0, None)',
    'wc.add_joint(float("nan"), 0)',
    'wc.add_joint(0, 10**400)', 'wc.add_joint(1j, 0)', 'wc.add_muscle(a, 7)', 'wc.add_muscle(a, -1)',
    'wc.add_muscle(a, 1.0)', 'wc.add_muscle(a, b, False, "5")',
    'wc.add_muscle(a, b, False, 1, float("inf"))'])
def test_what_makes_no_sense_raises(call, sodarace):
    assert sodarace.walker(triangle(call)).status == 'runtime_error'

def test_too_large_for_the_map(sodarace):
    wide = triangle('d = wc.add_joint(24.5, 0)', 'wc.add_muscle(b, d)')
    outcome = sodarace.evaluate(wide)
    assert (outcome.status, outcome.fitness) == ('invalid_result',
    0) and 'too large for the map' in outcome.detail
    assert sodarace.evaluate(wide.replace('24.5', '24')).status == 'ok'
    assert sodarace.evaluate(wide.replace('wc.add_muscle(b, d)', 'pass')).status == 'ok' # it is left out

def test_the_largest_walker_has_a_place_of_its_own(sodarace):
    from elm_nb.search.map_elites import GridArchive
    program = walker('js = [wc.add_joint(24 * (k % 2), 24 * k / 47) for k in range(48)]',
        'for k in range(47): wc.add_muscle(js[k], js[k + 1], False, 1, 0)')
    found = sodarace.evaluate(program)
    assert found.behavior == (24, 24, 48)
    archive = GridArchive(sodarace.axes)
    archive.add([found.fitness], [found.behavior], [program])
    assert (archive.clipped, list(archive.champions)) == (0, [12**3 - 1])

def test_a_run_of_the_former_world_is_refused_by_its_rules(tmp_path):
    start(EvolveConfig(mutator='genetic', iterations=1), tmp_path/'run', 1, 0)
    file = tmp_path/'run/config.json'
    there = json.loads(file.read_text())
    del there['options'], there['settings']['rules'] # as they were not noted then
    there['settings']['starts'] = 0
    file.write_text(json.dumps(there))
    message = 'starts is 0 there and 1 here.*largest walker is None there and 24.0 here'
    with pytest.raises(RunError, match=message): resume(tmp_path/'run', 2, 1, 0)

def test_options_of_a_domain_stand_in_the_run(tmp_path):
    asked = EvolveConfig(mutator='genetic', iterations=1, options={'terrain': 'bumpy', 'starts': 3})
    start(asked, tmp_path/'run', 1, 0)
    settings = json.loads((tmp_path/'run/config.json').read_text())['settings']
    assert settings['terrain'].startswith('bumpy') and settings['starts'] == 3
    resume(tmp_path/'run', 2, 1, 0)
    with pytest.raises(RunError, match='starts is 3 there and 1 here'):
        start(EvolveConfig(mutator='genetic', iterations=2), tmp_path/'run', 1, 0)
