"Evaluators end with whoever started them, survive what kills one of them, and change no result"
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from multiprocessing import get_context, parent_process

import psutil
import pytest

from elm_nb.evaluators import EvaluatorError, Evaluators
from elm_nb.launch import LaunchError, Workers, count_evaluators, count_processes, launch
from elm_nb.search.domain import Evaluation
from elm_nb.search.edit import Applied, Proposal
from elm_nb.search.evolve import evolve
from elm_nb.search.genetic import GeneticMutator
from elm_nb.search.run import Run
from elm_nb.sodarace.domain import Sodarace


def die(number):
    "Ends its evaluator at once, as the system does when memory is short"
    if number % 5 == 3: os.kill(os.getpid(), signal.SIGKILL)
    return -number


def die_once(number, folder):
    "Likewise, but only the first time"
    try: os.mkdir(f'{folder}/{number}')
    except FileExistsError: return number
    os.kill(os.getpid(), signal.SIGKILL)


def slow(number):
    time.sleep(0.05)
    return os.getpid()


@pytest.fixture
def two():
    with Evaluators(2) as evaluators: yield evaluators


def test_what_was_lost_is_done_again(two, tmp_path, capfd):
    "Named in a line for each that was killed, and no item is lost"
    assert two.map(partial(die_once, folder=tmp_path), range(4)) == [0, 1, 2, 3]
    lines = capfd.readouterr().err.splitlines()
    assert 1 < len(lines) <= 8 and all('was ended by SIGKILL' in line for line in lines)


def test_an_item_that_kills_is_given_up(two):
    "Evaluators die in the moment after they took an item; pebble overlooks some of them"
    found = two.map(die, range(15))
    assert [f for f in found if not isinstance(f, EvaluatorError)] == [-n for n in range(15) if n % 5 != 3]
    assert {type(found[n]) for n in range(3, 15, 5)} == {EvaluatorError}


@pytest.mark.parametrize('busy', [False, True])
def test_an_evaluator_that_is_killed_from_outside(two, busy):
    pids = set(two.map(slow, range(8)))
    assert len(pids) == 2 and os.getpid() not in pids
    pending = two.submit(slow, range(40)) if busy else None
    time.sleep(0.3)
    os.kill(pids.pop(), signal.SIGKILL)
    time.sleep(0.3)
    if pending: assert len(pending.results()) == 40
    assert len(two.map(slow, range(8))) == 8


def test_results_that_cannot_travel(two):
    with pytest.raises(EvaluatorError, match='cannot do this'): two.map(eval, ['lambda: 0'])
    with pytest.raises(ZeroDivisionError): two.map(eval, ['1', '1/0'])
    assert two.map(eval, ['1', '2']) == [1, 2]


def in_a_fork(evaluators, queue):
    queue.put(evaluators.map(slow, range(4)))
    evaluators.close()


def test_a_fork_has_evaluators_of_its_own(two):
    mine = set(two.map(slow, range(8)))
    context = get_context('fork')
    queue = context.SimpleQueue()
    child = context.Process(target=in_a_fork, args=(two, queue))
    child.start()
    assert not mine & set(queue.get())
    child.join()
    assert child.exitcode == 0 and set(two.map(slow, range(8))) <= mine


def test_some_work_is_done_here_first():
    with Evaluators(2, after=0.2) as evaluators:
        found = evaluators.map(slow, range(8))
        assert {found[0], found[1]} == {os.getpid()} and os.getpid() not in found[6:]


WORK = '''
import sys, time
from elm_nb.evaluators import Evaluators
from elm_nb.launch import launch

def work(workers):
    workers.evaluators.after = 0
    workers.evaluators.submit(abs, range(10)).results()
    print('ready', flush=True)
    workers.evaluators.map(time.sleep, [0.1]*10_000)

{guard}launch(work, (), 1, 2)
'''


def script(tmp_path, guard='if __name__ == "__main__": '):
    (tmp_path/'script.py').write_text(WORK.format(guard=guard))
    return subprocess.Popen([sys.executable, tmp_path/'script.py'], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGKILL])
def test_no_orphans(tmp_path, how):
    process = script(tmp_path)
    assert process.stdout.readline() == 'ready\n'
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 2
    if how == signal.SIGINT: os.killpg(process.pid, how) # as a terminal does
    else: process.send_signal(how)
    process.wait(timeout=20)
    gone, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    if how == signal.SIGINT: assert process.stderr.read().count('Traceback') == 1 # its own


def test_a_script_that_starts_evaluators_wherever_it_is_imported(tmp_path):
    process = script(tmp_path, guard='')
    said = process.communicate(timeout=120)[1]
    assert process.returncode and "below if __name__ == '__main__'" in said


def test_evaluators_are_light():
    code = ('import sys, elm_nb.search.evolve, elm_nb.search.genetic; from elm_nb.launch import Workers; '
        'Workers(); assert not {"torch", "accelerate"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True)


# cores, GPUs, GB of memory: ranks and evaluators for a language model, and for the genetic mutator
MACHINES = {
    (2, 0, 8): ((2, 1), (1, 2)),
    (64, 0, 256): ((16, 4), (1, 64)),
    (64, 0, 12): ((8, 6), (1, 48)),
    (16, 1, 128): ((1, 16), (1, 16)),
    (64, 8, 512): ((8, 8), (1, 64)),
}


@pytest.mark.parametrize('machine', MACHINES)
def test_how_many(machine, monkeypatch):
    "Without being asked for; an iteration has 16 micro-batches"
    import torch
    cores, gpus, memory = machine
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(cores)))
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    monkeypatch.setattr(psutil, 'virtual_memory', lambda: type('', (), {'available': memory*1e9}))
    for most,expected in zip((16, 1), MACHINES[machine]):
        ranks = count_processes(0, most)
        assert (ranks, count_evaluators(None, ranks)) == expected
    with pytest.raises(LaunchError, match=f'memory holds {memory*4}'): count_evaluators(memory*4 + 1, 1)
    assert count_evaluators(memory*4, 1) == memory*4


def _evolve(workers, file, after=0):
    workers.evaluators.after = after
    sodarace = Sodarace()
    if workers.is_first:
        with Run(f'{file}-run', {'seed': 0}) as run: evolved(sodarace, workers, run)
        with Run(f'{file}-run') as run: open(file, 'w').write(repr(list(run.entries())))
    else: evolved(sodarace, workers, None)


def evolved(domain, workers, run):
    evolve(domain, GeneticMutator(), domain.seeds['square'], 3, 3, 4, run=run, workers=workers)


@pytest.fixture(scope='module')
def rows(tmp_path_factory):
    file = tmp_path_factory.mktemp('rows')/'alone'
    launch(_evolve, (file,), 1, 0)
    return file.read_text()


@pytest.mark.parametrize('ranks, evaluators', [(1, 1), (1, 2), (1, 4), (2, 0), (2, 1)])
def test_rows_are_equal(rows, tmp_path, ranks, evaluators):
    launch(_evolve, (tmp_path/'rows',), ranks, evaluators)
    assert (tmp_path/'rows').read_text() == rows
    with Run(tmp_path/'rows-run') as run:
        spent, seconds = run.spent()[1:], [h[-1] for h in run.history()][1:]
    assert all(s.sampling > 0 and s.evaluating > 0 for s in spent)
    assert all(max(s) <= 1.01*whole for s,whole in zip(spent, seconds))


def test_two_nodes(rows, tmp_path):
    "Two torchruns that meet over loopback, as on two machines that see the same files"
    with socket.create_server(('127.0.0.1', 0)) as s: port = s.getsockname()[1]
    (tmp_path/'script.py').write_text('from elm_nb.launch import launch\n'
        'from test_evaluators import _evolve\n'
        f'if __name__ == "__main__": launch(_evolve, ({str(tmp_path/"rows")!r},), 2, 1)\n')
    command = [sys.executable, '-m', 'torch.distributed.run', '--nnodes', '2', '--nproc_per_node', '1',
        '--master_addr', '127.0.0.1', '--master_port', str(port)]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)}
    nodes = [subprocess.Popen([*command, '--node_rank', str(k), tmp_path/'script.py'], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for k in range(2)]
    said = [node.communicate(timeout=240)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    assert (tmp_path/'rows').read_text() == rows


class Deadly:
    "One program in five ends the process that evaluates it"
    seeds, messages, axes = {'x': 'x'}, {}, {'length': (0, 20, 10)}
    def evaluate(self, program):
        if program.endswith('d'): os.kill(os.getpid(), signal.SIGKILL)
        if program.endswith('e'): raise OSError('the disk\nis full')
        return Evaluation('ok', 1., (len(program),), program)


class Writer:
    def propose(self, program, n, seed): return [Proposal(Applied(program + end, 'exact')) for end in 'abcde']
    def learn(self, entries): raise RuntimeError('nothing learned')


def test_the_loop_survives(capfd):
    "A program that kills, an evaluation that raises, a mutator that does: the run goes on, and says so once"
    with Workers(2) as workers:
        workers.evaluators.after = 0
        archive = evolve(Deadly(), Writer(), 'x', 3, 2, 5, workers=workers)
    assert archive.niches >= 2
    said = [line for line in capfd.readouterr().err.splitlines() if 'the search goes on' in line]
    assert len(said) == 2 and sum('the domain raised' in line for line in said) == 1
    assert sum('nothing learned' in line for line in said) == 1


class Shy(GeneticMutator):
    "Ends the evaluator that asks it in the second iteration"
    def propose(self, program, n, seed):
        if seed[1] == 2 and parent_process(): os.kill(os.getpid(), signal.SIGKILL)
        return super().propose(program, n, seed)


def test_a_mutator_that_kills_evaluators_is_asked_here(tmp_path, capfd):
    rows = []
    for mutator, n in ((Shy(), 2), (GeneticMutator(), 0)):
        with Workers(n) as workers, Run(tmp_path/type(mutator).__name__, {}) as run:
            workers.evaluators.after = 0
            evolve(Sodarace(), mutator, Sodarace.seeds['square'], 3, 2, 4, run=run, workers=workers)
            rows.append(list(run.entries()))
    assert rows[0] == rows[1]
    assert 'was ended by SIGKILL' in capfd.readouterr().err
