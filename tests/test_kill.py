"A run that is killed again and again ends with the rows of one that never was"
import os
import signal
import time
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import psutil
import pytest

from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, recorded, start
from elm_nb.language.model import save_tiny_model
from elm_nb.search.run import Run

context = get_context('forkserver') # a process in milliseconds, with torch already imported
context.set_forkserver_preload(['elm_nb.stage1', 'elm_nb.sodarace.domain']) # a run finds its domain by name


def begin(config, folder, processes=1):
    process = context.Process(target=start, args=(config, str(folder), processes))
    process.start()
    return process


def finish(config, folder, processes=1):
    process = begin(config, folder, processes)
    process.join()
    assert process.exitcode == 0


def rows(folder):
    with Run(folder) as run: return list(run.entries())


def timed(f, *arguments):
    begun = time.perf_counter()
    f(*arguments)
    return time.perf_counter() - begun


def kill_and_resume(config, tmp_path, kills, processes=1):
    "Run once in peace and once with `kills` SIGKILLs at random moments, and compare"
    finish(config, tmp_path/'whole')
    startup = timed(finish, replace(config, iterations=1), tmp_path/'short', processes)
    seconds = timed(finish, config, tmp_path/'whole-again', processes)
    rng, killed, seen = np.random.default_rng(), 0, []
    moments = np.array([startup/2, startup + 6*seconds/kills])
    while killed < kills:
        process = begin(config, tmp_path/'killed', processes)
        process.join(rng.uniform(*moments))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        if (tmp_path/'killed/run.sqlite').exists() and process.exitcode: seen.append(count(tmp_path/'killed'))
        if process.exitcode == 0: # it ended before its kills: begin another, killed sooner
            moments *= 0.9
            assert rows(tmp_path/'killed') == rows(tmp_path/'whole')
            (tmp_path/'killed').rename(tmp_path/f'ended{len(list(tmp_path.glob("ended*")))}')
    finish(config, tmp_path/'killed', processes)
    expected = rows(tmp_path/'whole')
    assert rows(tmp_path/'killed') == expected == rows(tmp_path/'whole-again')
    assert len(expected) == 1 + config.iterations*config.parents*config.children
    return seen


def count(folder):
    try:
        with Run(folder) as run: return len(list(run.entries()))
    except ValueError: return 0 # killed before the tables were made


def test_genetic_mutator(tmp_path):
    seen = kill_and_resume(EvolveConfig(mutator='genetic', iterations=40), tmp_path, 20)
    assert len(set(seen)) > 3 # the kills fell into different parts of the run


def test_tiny_language_model(tmp_path):
    model = save_tiny_model(tmp_path/'model')
    seen = kill_and_resume(EvolveConfig(model=model, iterations=20, parents=2, children=4), tmp_path, 20)
    assert len(set(seen)) > 3


def test_two_processes(tmp_path):
    kill_and_resume(EvolveConfig(mutator='genetic', iterations=20), tmp_path, 2, processes=2)


def test_ranks_die_with_their_parent(tmp_path):
    "Killed while the ranks still import torch, the time when no signal reaches them"
    process = begin(EvolveConfig(mutator='genetic', iterations=10_000), tmp_path/'run', processes=2)
    def children():
        below = psutil.Process(process.pid).children(recursive=True)
        return [c for c in below if 'spawn_main' in ' '.join(c.cmdline())]
    while len(ranks := children()) < 2: time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    gone, alive = psutil.wait_procs(ranks, timeout=60)
    assert not alive


def test_real_language_model(tmp_path):
    kill_and_resume(EvolveConfig(iterations=2, parents=1, children=8), tmp_path, 2)


@pytest.mark.parametrize('moment', ['config.json', 'run.sqlite'])
def test_half_made_folders(tmp_path, moment):
    "Killed between making the folder and writing its first row"
    config, folder = EvolveConfig(mutator='genetic', iterations=1), tmp_path/'run'
    folder.mkdir()
    if moment == 'run.sqlite': Run(folder, recorded(config, Sodarace())).close()
    else: (folder/'config.new').write_text('{"half')
    finish(config, folder)
    finish(config, tmp_path/'whole')
    assert rows(folder) == rows(tmp_path/'whole')
