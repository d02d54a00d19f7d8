"""Mutated walkers with hostile fragments spliced in, in one process: always an answer, in time.

300 programs by default; ELM_NB_FUZZ=20000 for a long run, which prints how many got which verdict."""
import os
import time
from collections import Counter
from typing import get_args

import numpy as np
import psutil
from elm_nb.search.genetic import GeneticMutator
from elm_nb.search.sandbox import Outcome, Sandbox, Status, _max_result, _slack
from elm_nb.sodarace.domain import SEEDS, SQUARE, Sodarace

COUNT = int(os.environ.get('ELM_NB_FUZZ', 300))

HARMLESS = ['pass', 'x = 1', 'a = (0,)', 'import os', 'import json', 'import random', 'k = 0',
    'class A: pass', 'b = A()', 'class A:\n    def __str__(self): return 5',
    'class A:\n    def __hash__(self): return [A()]']
LEAVING = ['return 5', 'return {A()}', 'return A', 'return a', 'return {a: 1}', 'return lambda: 1',
    'return print', 'return wc', 'return {k*(2**61 - 1): 0 for k in range(999)}', 'return [A()]*999',
    'return os', 'return float("nan")', 'if True: return {A(), A}', 'for k in [A()]: return {k: k}',
    'while True: return {(a, A())}', 'try: return {A}\nfinally: return {A()}',
    'try: 1/0\nexcept Exception as e: return {e: e}', 'match a:\n    case _: return {A(): a}',
    'exec("return {A()}")', 'eval("{A()}")', '{A()}', 'A()', 'yield 1', 'break', 'continue', 'await a',
    'raise SystemExit(A())', 'raise ValueError("x"*99999)', 'raise KeyError(a)', 'raise BaseException',
    'raise MemoryError', 'raise TimeoutError("time limit exceeded")', 'assert a is None, a',
    'print("x"*9999)', 'print(a, A())', 'open(a)', 'open("/etc/passwd")', 'os.getenv("x", a)',
    'os.remove("x")', 'undefined(A())', 'undefined', '__import__("os")', 'x = "\\ud800"', 'x = """',
    'x = (', '\0', '\t pass']
SHADOWING = ['_text = None', '_text = lambda result: A()', '_text = lambda result: {a: 1}', '_ended = A()',
    '_ended = None', '_program = a', 'exec = None', 'str = len = format = None', 'json.dumps = None',
    'walker_creator = A', 'WalkerCreator.get_walker = lambda self: {A()}', 'math = np = None',
    'Exception = ValueError = A', 'WalkerCreator.max_joints = 10**9', 'make_walker = 3',
    'make_walker = lambda: {A()}', 'make_walker = A', 'random.seed(1)', 'min = lambda *x: A()',
    'def _text(result): return A()', 'class _text: pass']
ENDLESS = ['while True: pass', 'for _ in range(45): a = (a, a)', 'a = [0]*10**9', 'a = 10**10**7',
    'x = [x for x in range(10**8)]', 'for _ in range(45): a = (a, a)\nreturn {a: 1}',
    'for _ in range(45): a = (a, a)\nprint(a)', 'make_walker()']

def fragment(rng):
    kinds, weights = (HARMLESS, LEAVING, SHADOWING, ENDLESS), (0.35, 0.4, 0.23, 0.02)
    chosen = kinds[rng.choice(4, p=weights)]
    return chosen[rng.integers(len(chosen))]

def spliced(program, rng):
    "A program with fragments between its lines, each as deep as the line before it, or after all of them"
    lines = program.split('\n')
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(lines) + 1))
        before = lines[place - 1] if place and rng.random() < 0.7 else ''
        indent = ' '*(len(before) - len(before.lstrip()) + 4*before.endswith(':'))
        if rng.random() < 0.3: place, indent = len(lines), ''
        lines[place:place] = [indent + line for line in fragment(rng).split('\n')]
    return '\n'.join(lines)

def programs(seed):
    rng = np.random.default_rng(seed)
    seeds = list(SEEDS.values())
    for k in range(COUNT):
        parent = seeds[k % len(seeds)]
        for _ in range(rng.integers(1, 4)):
            parent = GeneticMutator().propose(parent, 1, [seed, k])[0].applied.source
        yield spliced(parent, rng)

class Watched(Sandbox):
    "What leaves the interpreter is a text of bounded length"
    def _attempt(self, *args):
        text = super()._attempt(*args)
        assert type(text) is str and len(text) <= _max_result + 1
        return text

def test_fuzz():
    domain, me = Sodarace(sandbox=Watched()), psutil.Process()
    good = repr(domain.walker(SQUARE))
    verdicts, slowest, memory = Counter(), 0, []
    for k,program in enumerate(programs(seed=0)):
        start = time.perf_counter()
        outcome = domain.walker(program)
        seconds = time.perf_counter() - start
        busy = domain.sandbox.wall/domain.sandbox.seconds/_slack # 1 on a quiet machine
        slowest = max(slowest, seconds/busy)
        assert type(outcome) is Outcome and outcome.status in get_args(Status), program
        assert seconds/busy < 2, program
        assert len(outcome.detail) <= 200 and len(outcome.detail.splitlines()) <= 1
        verdicts[outcome.status] += 1
        if k % 50 == 0:
            assert repr(domain.walker(SQUARE)) == good, program
            memory.append(me.memory_info().rss)
        if k % 1000 == 999: print(k + 1, dict(verdicts), f'{memory[-1]/2**20:.0f} MB', flush=True)
    domain.sandbox.close()
    quarter = len(memory)//4
    grown = (max(memory[-quarter:]) - max(memory[:quarter + 1]))/2**20
    print(f'{COUNT} programs: {dict(verdicts.most_common())}')
    print(f'slowest {slowest:.2f} s; memory grew {grown:.1f} MB')
    assert grown < 30
    assert verdicts['ok'] > COUNT/20 and len(verdicts) >= 5
