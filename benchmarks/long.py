"""Does a long run stay as fast and as small as it began? elm_nb/data/long.json

    python benchmarks/long.py 1024000 [folder]

So many genetic evaluations from the square in one run of `elm evolve`, which is kept if a folder is named.
It is watched from outside: resident memory of its process and of its evaluators, every ten seconds. Then it
is asked for one iteration more: when is that in the log, and how much memory did it take? Four minutes on two
cores for 100,000; a million took an hour and a half, other work beside it, since programs grow.
"""
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import psutil

from elm_nb.search.run import Run

OUT = Path(__file__).parent.parent/'elm_nb/data/long.json'
PER_ITERATION, MB = 32, 2**20
ELM = [sys.executable, '-c', 'from elm_nb.cli import main; main()']


def resident(process):
    "MB of a process and of those below it"
    found = [process.memory_info().rss/MB, 0.]
    for child in process.children(recursive=True):
        try: found[1] += child.memory_info().rss/MB
        except psutil.NoSuchProcess: pass
    return found


def logged(folder):
    "Iterations in the log"
    file = (folder/'run.sqlite').absolute().as_uri()
    try:
        with sqlite3.connect(f'{file}?mode=ro', uri=True, timeout=30) as db:
            return db.execute('select max(iteration) from iterations').fetchone()[0] or 0
    except sqlite3.OperationalError: return 0 # not there yet


def size(folder): return sum(f.stat().st_size for f in folder.rglob('*') if f.is_file())


def watched(folder, every, *command):
    "(seconds, evaluations, MB of the run, MB of its evaluators) until a command of `elm` ends"
    begun, rows = perf_counter(), []
    run = psutil.Popen([*ELM, *command], stdout=subprocess.DEVNULL)
    while run.poll() is None:
        try: rows.append((perf_counter() - begun, logged(folder)*PER_ITERATION, *resident(run)))
        except psutil.NoSuchProcess: break
        sleep(every)
    if run.wait(): raise SystemExit('the run failed; what it said stands above')
    return [*rows, (perf_counter() - begun, logged(folder)*PER_ITERATION, *rows[-1][2:])]


def at(rows, evaluations):
    "The first row with so many evaluations"
    return next(row for row in rows if row[1] >= evaluations)


def is_deep(program):
    "Do three or more loops or branches stand in each other?"
    return any(line.startswith(' '*16) for line in program.split('\n'))


def tenths(folder):
    "Of each tenth of a run: ms of an iteration, ms with busy evaluators, share of programs with deep loops"
    with Run(folder) as run:
        history, spent = run.history()[1:], run.spent()[1:]
        deep = [(e.iteration, is_deep(e.program)) for e in run.entries("status = 'ok' and id % 50 = 0")]
    cut, found = len(history)//10, []
    for k in range(10):
        part = slice(k*cut, (k + 1)*cut)
        milliseconds = 1000*fmean(seconds for *_, seconds in history[part])
        busy = 1000*fmean(s.sampling + s.evaluating for s in spent[part])
        share = fmean(found_deep for iteration,found_deep in deep if k*cut < iteration <= (k + 1)*cut)
        found.append([round(milliseconds, 1), round(busy, 1), round(share, 3)])
    return found


if __name__ == '__main__':
    n = int(sys.argv[1])
    if n < 10_000: raise SystemExit('this measures tenths of a long run; ask for 10000 evaluations or more')
    iterations = n//PER_ITERATION
    with TemporaryDirectory() as scratch:
        folder = Path(sys.argv[2] if len(sys.argv) > 2 else f'{scratch}/run')
        if logged(folder) >= iterations: raise SystemExit(f'{folder} holds a run that ended; name another')
        rows = watched(folder, 10, 'evolve', '--mutator', 'genetic',
            '--iterations', str(iterations), '--out', str(folder))
        bytes_each, by_tenth = size(folder)/n, tenths(folder)
        more = watched(folder, 0.2, 'resume', str(folder), '--iterations', str(iterations + 1))
    early, late = at(rows, n//20), at(rows, n*98//100)
    data = {'evaluations': n, 'minutes': rows[-1][0]/60,
        'milliseconds of an iteration, busy, share with deep loops': by_tenth,
        'MB after a twentieth': [round(m, 1) for m in early[2:4]],
        'MB at the end': [round(m, 1) for m in late[2:4]],
        'bytes an evaluation': round(bytes_each, 1),
        'seconds to resume': round(at(more, (iterations + 1)*PER_ITERATION)[0], 1),
        'MB to resume': round(max(row[2] for row in more), 1)}
    OUT.write_text(json.dumps(data, indent=1) + '\n')
    print(json.dumps(data, indent=1))
