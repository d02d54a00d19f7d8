"Programs that mean harm, or might as well: each gets its verdict in time, and the next one notices nothing"
import multiprocessing
import os
import pickle
import time
from functools import cache
from typing import get_args

import pytest
from elm_nb.sodarace.domain import SQUARE, Sodarace
from elm_nb.search.sandbox import Sandbox, Status, _slack

def body(*lines): return 'def make_walker():\n    ' + '\n    '.join(lines)
def value(expression): return body(f'return {expression}')
def data(joints='[(0, 0), (6, 0), (3, 5)]', muscles='[(0, 1, 0, 0), (1, 2, 3, 0), (2, 0, 3, 1)]', cut=0):
    counts = f'dict(joints=0, muscles=0, numbers={cut}, phases=0)'
    return value(f'dict(joints={joints}, muscles={muscles}, ignored={counts})')
def nested(first, step, last, levels=60):
    return body(f'a = {first}', f'for _ in range({levels}): a = {step}', last)
def poisoned(line): return f'{line}\n{SQUARE}'
def triangle(*lines):
    "The creator is tampered with, then used as usual"
    return body('wc = walker_creator()', *lines, 'a, b, c = [wc.add_joint(x, x*x) for x in (0, 1, 2)]',
        'wc.add_muscle(a, b, False, 3.0)', 'wc.add_muscle(b, c)', 'return wc.get_walker()')

deep = 8000
BY_VERDICT = {
'timeout': dict(
    loop=body('while True: pass'),
    loop_at_import='while True: pass',
    loop_that_catches=body('while True:', '    try:', '        while True: pass',
        '    except BaseException: pass'),
    loop_in_finally=body('try: 1/0', 'finally:', '    while True: pass'),
    loop_in_builtin=value('max(range(10**12))'),
    loop_of_loops='for a in range(9**9):\n for b in range(9**9):\n  for c in range(9**9): pass',
    loop_in_iterator='class A:\n    def __iter__(self): return self\n    def __next__(self): return 1\n'
        + body('for _ in A(): pass'),
    loop_in_hash='class A:\n    def __hash__(self):\n        while True: pass\n' + value('{A(): 1}'),
    silent_prints=body('while True: print(end="")'),
    power_modulo=value('pow(3, 10**100000, 10**100000 + 1)'),
    long_number=value('math.isqrt(10**10**6)'),
    compare_shared=body('a, b = [0], [0]', 'for _ in range(60): a, b = [a, a], [b, b]', 'return a == b')),
'memory': dict(
    list_doubles=body('a = [1]', 'while True: a += a'),
    list_at_import='a = [1]\nwhile True: a += a',
    list_in_itself=body('a = []', 'while True: a.append(a)'),
    list_of_lists=value('[[i]*1000 for i in range(10**9)]'),
    list_at_once=value('[0]*10**12'),
    tuple_doubles=body('a = (1,)', 'while True: a = a + a'),
    string_at_once=value('"x"*10**12'),
    bytes_at_once=value('bytes(10**12)'),
    bytes_double=body('a = b"x"', 'while True: a = a + a'),
    number_at_once=value('10**10**8'),
    number_by_shift=value('1 << 10**12'),
    factorial=value('math.factorial(10**9)'),
    dict_grows=body('d = {}', 'for i in range(10**9): d[i] = i'),
    set_grows=value('set(range(10**9))'),
    generator_of_all=value('sum(i for i in range(10**5) for j in range(10**5))'),
    closures=body('f = lambda: 0', 'while True: f = (lambda g: lambda: g)(f)'),
    replace=value('("a"*10**4).replace("a", "a"*10**4)'),
    format_width=value('f"{1:>1000000000000}"'),
    long_print=body('print("x"*10**7)'),
    memory_error=body('raise MemoryError')),
'memory timeout': dict(
    string_grows=body('a = ""', 'while True: a += "x"*1000'),
    prints=body('while True: print("x")'),
    prints_at_import='while True: print("x")'),
'syntax_error': dict(
    open_parentheses=value('('*deep),
    parentheses=value('('*deep + '1' + ')'*deep),
    lists=value('['*deep + ']'*deep),
    dicts=value('{1:'*deep + '1' + '}'*deep),
    minuses=value('-'*deep + '1'),
    nots=value('not '*(deep//2) + '1'),
    attributes=value('a' + '.a'*deep),
    calls=value('f' + '()'*deep),
    sums=value('1' + '+1'*deep),
    ternaries=value('1 if 1 else '*2500 + '1'),
    lambdas=value('lambda:'*4000 + '1'),
    ifs='\n'.join(' '*i + 'if 1:' for i in range(240)),
    elifs='if 0: pass\n' + 'elif 0: pass\n'*2400,
    functions='\n'.join(' '*i + 'def f():' for i in range(240)),
    fstrings=value('f"{'*5000),
    patterns=f'match 1:\n  case {"["*deep}{"]"*deep}: pass',
    stars=value('[' + '*'*deep + ']'),
    arguments=value('f(' + '1,'*deep + ')'),
    comprehension=value('[x ' + 'for x in range(9) '*1700 + ']'),
    digits=value('9'*31000),
    too_long='#'*32769,
    far_too_long='x = 1\n'*10**6,
    spaces_after_import='from numpy import' + ' '*1500 + '!',
    spaces_after_name='from numpy import a' + ' '*32000 + '!',
    null_byte='\0',
    lone_surrogate=value('"\ud800"'),
    no_break_space='a\u00a0= 1',
    line_separator='a = 1\u2028b = 2',
    emoji='🎉 = 1',
    fullwidth='ｄｅｆ make_walker(): pass',
    escape_code='\x1b[31m',
    open_string='"""' + 'x'*30000,
    markdown=f'```python\n{SQUARE}\n```',
    merge_conflict='<<<<<<< HEAD\n' + SQUARE,
    python_2=body('print "x"'),
    return_number=SQUARE + '\nreturn 5',
    return_first='return 5\n' + SQUARE,
    return_nothing=SQUARE + '\nreturn',
    return_instance='class A: pass\n' + SQUARE + '\nreturn {A()}',
    return_function=SQUARE + '\nreturn [make_walker, print, WalkerCreator, math]',
    return_in_if='class A: pass\n' + SQUARE + '\nif True: return {A()}',
    return_in_for='class A: pass\n' + SQUARE + '\nfor k in [A()]: return {k: k}',
    return_in_while='class A: pass\n' + SQUARE + '\nwhile True: return {(1, A())}',
    return_in_try='class A: pass\n' + SQUARE + '\ntry: 1/0\nexcept Exception: return {A()}\nfinally: pass',
    return_in_finally='class A: pass\n' + SQUARE + '\ntry: return 1\nfinally: return {A()}',
    return_in_match='class A: pass\n' + SQUARE + '\nmatch 1:\n    case 1: return {A()}',
    return_colliding=SQUARE + '\nreturn {k*(2**61 - 1): 0 for k in range(10000)}',
    return_list_of_all=SQUARE + '\nreturn [[i]*100 for i in range(1000)]'),
'syntax_error memory timeout': dict(
    return_many_colliding=SQUARE + '\nreturn {k*(2**61 - 1): 0 for k in range(60000)}'),
'syntax_error runtime_error timeout': dict(
    return_shared_key=SQUARE + '\na = (0,)\nfor _ in range(45): a = (a, a)\nreturn {a: 1}',
    return_shared=SQUARE + '\na = [0]\nfor _ in range(45): a = [a, a]\nreturn a'),
'runtime_error': dict(
    empty='',
    prose_in_comment='#'*32768,
    recursion=body('return make_walker()'),
    recursion_at_import='def f(): return f()\nf()',
    recursion_of_lambda='f = lambda n: f(n)\n' + value('f(1)'),
    recursion_in_repr='class A:\n    def __repr__(self): return repr(self)\n' + value('repr(A())'),
    recursion_in_hash=nested('()', '(a,)', 'return hash(a)', 10**5),
    base_class=value('().__class__.__base__.__subclasses__()'),
    base_class_by_name=value('getattr((), "__cl" + "ass__")'),
    mro=value('int.__mro__'),
    function_globals=value('make_walker.__globals__'),
    method_globals=value('getattr(walker_creator, "__init__").__globals__'),
    code_object=value('make_walker.__code__'),
    bound_self=value('walker_creator().add_joint.__self__'),
    generator_frame=value('(i for i in [1]).gi_frame'),
    traceback_frame=body('try: 1/0', 'except Exception as e: return e.__traceback__.tb_frame'),
    builtins_by_name=value('__builtins__'),
    builtins_module='import builtins\n' + SQUARE,
    import_function=body('__import__("os").system("true")'),
    format_globals=value('"{0.__class__.__init__.__globals__}".format(walker_creator())'),
    format_class=value('"{0.__class__}".format(1)'),
    loader=value('__loader__'),
    modules='import sys\n' + value('sys.modules'),
    open_file=value('open("/etc/passwd").read()'),
    write_file=body('open("/tmp/x", "w").write("x")'),
    path_file='import pathlib\n' + value('pathlib.Path("/etc/passwd").read_text()'),
    list_folder='import os\n' + value('os.listdir("/")'),
    environment='import os\n' + value('os.environ["PATH"]'),
    system='import os\n' + body('os.system("true")'),
    remove='import os\n' + body('os.remove("/etc/passwd")'),
    ask_host_forever='import os\n'
        + body('while True:', '    try: os.getenv("x")', '    except BaseException: pass'),
    subprocess='import subprocess\n' + SQUARE,
    socket='import socket\n' + SQUARE,
    urllib='import urllib.request\n' + SQUARE,
    ctypes='import ctypes\n' + SQUARE,
    threading='import threading\n' + SQUARE,
    pickle='import pickle\n' + SQUARE,
    importlib='import importlib\n' + SQUARE,
    exit=body('exit()'),
    quit=body('quit()'),
    system_exit=body('raise SystemExit(0)'),
    system_exit_at_import='raise SystemExit',
    hard_exit='import os\n' + body('os._exit(0)'),
    keyboard_interrupt=body('raise KeyboardInterrupt'),
    base_exception=body('raise BaseException("x")'),
    stop_iteration=body('raise StopIteration'),
    recursion_error=body('raise RecursionError'),
    not_an_exception=body('raise 3'),
    long_message=body('raise ValueError("a\\nb"*10**6)'),
    long_key=body('raise KeyError("x"*10**6)'),
    odd_message=body('raise ValueError("\\ud800\\n\\r\\x00\\x1b[31m\\u2028\\x85\\u202e")'),
    object_message=body('raise ValueError(make_walker, {1: 2})'),
    shared_message=nested('[0]', '[a, a]', 'raise ValueError(a)'),
    long_name=value('x'*30000),
    breakpoint=body('breakpoint()'),
    wait_for_input=value('input()'),
    regex_backtracks='import re\n' + value(r're.match(r"(a|a|aa)+\1$", "a"*60 + "b")'),
    regex_huge='import re\n' + value('re.compile("((((a{1000}){1000}){1000}){1000})")'),
    digits_of_number=value('str(7**10**6)'),
    no_function='make_walker = 3',
    wrong_arguments='def make_walker(a): pass',
    len_gone=poisoned('len = None'),
    type_gone='type = None\n' + body('walker_creator().add_joint("a", 0)'),
    creator_gone=poisoned('walker_creator = None'),
    math_patched=body('math.sin = None'),
    name_patched=poisoned('__name__ = "elm_nb"'),
    text_gone=SQUARE + '\n_text = None',
    text_is_no_text='class A:\n    def __str__(self): return 5\n' + SQUARE + '\n_text = lambda _: A()',
    text_of_error='class A:\n    def __str__(self): return [A()]\n' + body('raise ValueError(A())'),
    dumps_patched='import json\njson.dumps = lambda result: {1}\n' + SQUARE,
    calls_without_end=body('wc = walker_creator()', 'while True: wc.add_joint(0, 0)'),
    calls_for_nothing=triangle('for _ in range(10**4): wc.add_joint(0, 0)'),
    nan_joint=body('walker_creator().add_joint(float("nan"), 0)'),
    infinite_joint=body('walker_creator().add_joint(0, float("inf"))'),
    huge_joint=body('walker_creator().add_joint(10**400, 0)'),
    joint_nowhere=body('walker_creator().add_joint(None, 0)'),
    muscle_of_nothing=triangle('wc.add_muscle(0, -1)')),
'unsupported': dict(
    generator=body('yield walker_creator()'),
    generator_helper='def g():\n    yield from []\n' + SQUARE,
    inheritance='class A(WalkerCreator): pass\n' + SQUARE,
    exception_class='class E(BaseException): pass\n' + body('raise E()'),
    metaclass='class A(metaclass=type): pass\n' + SQUARE,
    property='class A:\n    @property\n    def f(self): return 1\n' + SQUARE,
    function_property='@property\n' + SQUARE,
    static_method='class A:\n    @staticmethod\n    def f(): return 1\n' + SQUARE,
    delete=body('a = 1', 'del a'),
    delete_item=body('a = [1]', 'del a[0]'),
    async_with='async def f():\n    async with a: pass\n' + SQUARE,
    async_for='async def f():\n    async for a in b: pass\n' + SQUARE,
    star_import='from math import *\n' + SQUARE),
'invalid_result': dict(
    nothing=body('pass'),
    number=value('1'),
    long_number_back=value('7**10**6'),
    string=value('"\\ud800\\0"'),
    coroutine='async def make_walker(): return walker_creator().get_walker()',
    sleeper='import time\n' + body('time.sleep(1000)'),
    instance='class A:\n    def get(self, key): return []\n' + value('A()'),
    creator=value('walker_creator()'),
    function=value('dict(joints=lambda: 1, muscles=[])'),
    module=value('math'),
    exception=value('SystemExit("x")'),
    cyclic_list=body('a = []', 'a.append(a)', 'return a'),
    cyclic_joints=body('a = []', 'a.append(a)', 'return dict(joints=a, muscles=a)'),
    cyclic_dict=body('a = {}', 'a["joints"] = a', 'return a'),
    deep_list=nested('[]', '[a]', 'return a', 150),
    nested_tuples=nested('()', '(a,)', 'return dict(joints=[a], muscles=[])', 150),
    empty_dict=value('{}'),
    wrong_keys=value('{1: [], None: [], True: [], 2.5: []}'),
    joints_none=data(joints=None),
    joints_dict=data(joints='{}'),
    joints_string=data(joints='"ab"'),
    joints_of_strings=data(joints='["ab", "cd", "ef"]'),
    joints_of_bools=data(joints='[(False, False), (True, False), (False, True)]'),
    joints_of_three=data(joints='[(0, 0, 0), (6, 0, 0), (3, 5, 0)]'),
    joints_too_many=data(joints='[(k*0.5, 0) for k in range(65)]'),
    joints_huge=data(joints='[(0, 10**400), (6, 0), (3, 5)]'),
    joints_far=data(joints='[(0, 1e300), (6, 0), (3, 5)]'),
    joints_nan=data(joints='[(0, float("nan")), (6, 0), (3, 5)]'),
    joints_infinite=data(joints='[(0, -float("inf")), (6, 0), (3, 5)]'),
    joints_coincide=data(joints='[(0, 0), (0.05, 0), (3, 5)]'),
    joints_minus_zero=data(joints='[(0, 0), (-0.0, 0), (3, 5)]'),
    joints_two=data(joints='[(0, 0), (6, 0)]', muscles='[(0, 1, 3, 0)]'),
    muscle_out_of_range=data(muscles='[(0, 1, 3, 0), (1, 3, 3, 0)]'),
    muscle_negative=data(muscles='[(0, 1, 3, 0), (1, -1, 3, 0)]'),
    muscle_bool=data(muscles='[(0, True, 3, 0), (1, 2, 3, 0)]'),
    muscle_float=data(muscles='[(0, 1.0, 3, 0), (1, 2, 3, 0)]'),
    muscle_huge=data(muscles='[(0, 10**400, 3, 0), (1, 2, 3, 0)]'),
    muscle_nan=data(muscles='[(0, 1, float("nan"), 0), (1, 2, 3, 0)]'),
    muscle_strong=data(muscles='[(0, 1, 61, 0), (1, 2, 3, 0)]'),
    muscle_of_self=data(muscles='[(0, 1, 3, 0), (1, 2, 3, 0), (2, 2, 3, 0)]'),
    muscle_twice=data(muscles='[(0, 1, 3, 0), (1, 2, 3, 0), (1, 0, 3, 0)]'),
    muscles_too_many=data(muscles='[(0, 1, 3, 0)]*100000'),
    muscles_still=data(muscles='[(0, 1, 0, 0), (1, 2, 0, 0)]'),
    muscles_apart=data(muscles='[(0, 1, 3, 0)]'),
    ignored_negative=data(cut=-1),
    ignored_huge=data(cut=10**9),
    ignored_bool=data(cut=True),
    ignored_list=data(cut='[]'),
    ignored_no_counts=value('dict(joints=[], muscles=[], ignored=0)'),
    ignored_other_kinds=triangle('wc.ignored["more"] = 1'),
    method_patched='WalkerCreator.get_walker = lambda self: self.joints\n' + SQUARE,
    creator_replaced='class walker_creator:\n    def get_walker(self): return {}\n'
        + value('walker_creator().get_walker()'),
    guard_patched='WalkerCreator.max_joints = 999\n'
        + triangle('for k in range(100): wc.add_joint(k*0.5, -9)'),
    distance_patched=triangle('wc.min_distance = 0', 'wc.add_joint(0, 0.05)'),
    number_patched='WalkerCreator._cut = lambda self, v, n: v\n' + triangle('wc.add_joint(10**9, 0)'),
    text_of_text=SQUARE + '\n_text = lambda result: {1: 2}',
    text_of_nothing=SQUARE + '\n_text = print',
    text_that_formats='class A:\n    def __format__(self, spec): return "{}"\n' + SQUARE
        + '\n_text = lambda _: A()',
    text_too_long=SQUARE + '\n_text = lambda result: "x"*10**7',
    list_patched=body('wc = walker_creator()', 'wc.joints += [(0, 0)]*99', 'return wc.get_walker()')),
'invalid_result memory': dict(
    long_list=value('[0]*10**6'),
    long_string=value('"x"*10**7'),
    long_joints=data(joints='[(0, 0)]*10**5'),
    colliding_keys=value('{k*(2**61 - 1): 0 for k in range(30000)}')),
'invalid_result timeout': dict(
    shared_list=nested('[0]', '[a, a]', 'return a'),
    shared_joints=nested('[0]', '[a, a]', 'return dict(joints=a, muscles=a)'),
    shared_tuple=nested('(0,)', '(a, a)', 'return dict(joints=[a], muscles=[])')),
'invalid_result runtime_error': dict(
    shared_key=nested('(0,)', '(a, a)', 'return {a: 1}', 29),
    instance_key='class A: pass\n' + value('{A(): 1}'),
    instance_set='class A: pass\n' + value('dict(joints={A()}, muscles=[])'),
    instance_deep='class A: pass\n' + value('{(1, A()): 1}')),
'ok': dict(
    plain_data=data(),
    isinstance_lies=poisoned('isinstance = lambda *a: True'),
    min_lies=poisoned('min = lambda *a: 0'),
    instance_left=SQUARE + '\nclass A: pass\n{A()}',
    shared_key_left=SQUARE + '\na = (0,)\nfor _ in range(29): a = (a, a)\n{a: 1}',
    return_not_reached=SQUARE + '\nif False: return {1}',
    return_of_exec=SQUARE + '\nexec("return {1}")',
    mark_set_before=poisoned('_ended = [print]'),
    exec_gone=SQUARE + '\nexec = str = format = _program = None',
    unused_gone=poisoned('abs = sum = sorted = print = None'),
    class_gone=poisoned('WalkerCreator = None'),
    modules_gone=poisoned('math = np = numpy = None')),
}
HOSTILE = {} # Each program by its name, with the verdicts that are right
for statuses,group in BY_VERDICT.items():
    for name,program in group.items(): HOSTILE[name] = program, statuses.split()

domain = Sodarace()

@cache
def run(name):
    "The outcome of a program, the seconds it took, and the outcome of a good program after it"
    start = time.perf_counter()
    outcome = domain.walker(HOSTILE[name][0])
    seconds = time.perf_counter() - start
    # on a busy machine a program is tried again with more time on the clock
    busy = 1 if domain.sandbox.pool is None else domain.sandbox.wall/domain.sandbox.seconds/_slack
    return outcome, seconds/busy, domain.walker(SQUARE)

@pytest.fixture(scope='module')
def good():
    fresh = Sodarace()
    yield repr(fresh.walker(SQUARE))
    for d in (fresh, domain): d.sandbox.close()

def test_names(): assert len(HOSTILE) == sum(map(len, BY_VERDICT.values()))

@pytest.mark.parametrize('name', HOSTILE)
def test_verdict(name, good):
    outcome, seconds, after = run(name)
    assert outcome.status in HOSTILE[name][1] and outcome.status in get_args(Status), outcome
    assert seconds < 2
    assert repr(after) == good

def test_detail():
    for name in HOSTILE:
        detail = run(name)[0].detail
        assert len(detail.splitlines()) <= 1 and len(detail) <= 200, name
        detail.encode()

def test_one_after_the_other(good):
    sodarace, slow = Sodarace(), [name for name,(_, statuses) in HOSTILE.items() if 'timeout' in statuses]
    for name in reversed([name for name in HOSTILE if name not in slow[2:]]):
        program, statuses = HOSTILE[name]
        assert sodarace.walker(program).status in statuses, name
        assert repr(sodarace.walker(SQUARE)) == good, name
    sodarace.sandbox.close()

def test_nothing_is_left_behind():
    "What one program does to the random numbers, to modules and to the interface, the next does not see"
    draws = 'import random\n' + value('[random.random(), WalkerCreator.max_joints, math.pi]')
    sandbox = Sandbox()
    def run(program): return sandbox.run(program, Sodarace.prelude, 'make_walker')
    first = run(draws)
    for spoiler in ('random.seed(5)', 'WalkerCreator.max_joints = 1', 'import os; os.chdir("/tmp")',
            'while True: pass', 'a = "x"*10**9', 'math = None', 'def sqrt(x): return 1'):
        run(f'import random\n{spoiler}\n' + body('return 1'))
        assert run(draws) == first, spoiler
    sandbox.close()

def _busy(): sum(1 for _ in iter(int, 1))

@pytest.fixture
def busy_machine():
    "Processes that leave a program no more than half of a processor"
    processes = [multiprocessing.Process(target=_busy, daemon=True) for _ in range(2*os.cpu_count())]
    for p in processes: p.start()
    yield
    for p in processes: p.terminate()

def counting(n): return f'def main():\n    for i in range({n}): pass\n    return i'

def test_busy_machine(request):
    "Under load a program that needs 60 % of the limit ends well, one that needs twice the limit does not"
    sandbox = Sandbox()
    test_n = 200_000
    assert sandbox.run(counting(test_n)).status == 'ok'
    n = int(test_n*sandbox.seconds/sandbox.used) # as many as take all of the time
    request.getfixturevalue('busy_machine')
    assert sandbox.run(counting(int(0.6*n))).status == 'ok'
    assert sandbox.run(counting(2*n)).status == 'timeout'
    assert sandbox.wall > _slack*sandbox.seconds # it was given more time on the clock
    sandbox.close()

def test_limits():
    short, roomy = Sandbox(seconds=0.02), Sandbox(memory=128*2**20)
    start = time.perf_counter()
    assert short.run('def main():\n    while True: pass').status == 'timeout'
    assert time.perf_counter() - start < 1
    long = 'def main(): return len([0]*4*10**6)'
    assert [s.run(long).status for s in (short, roomy)] == ['memory', 'ok']
    copy = pickle.loads(pickle.dumps(roomy))
    assert copy.run(long) == roomy.run(long)
    for s in (short, roomy, copy): s.close()

def test_preludes():
    "A prelude that fails raises, one that never ends is a timeout, and many are not all kept"
    sandbox, good = Sandbox(seconds=0.02), 'def main(): return x'
    with pytest.raises(RuntimeError, match='the prelude does not run'): sandbox.run(good, 'x = 1/0')
    assert sandbox.run(good, 'while True: pass').status == 'timeout'
    for k in range(40): assert sandbox.run(good, f'x = {k}').value == k
    assert len(sandbox.states) < 20
    sandbox.close()
