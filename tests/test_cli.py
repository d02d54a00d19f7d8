"What users do wrong, and what machines do to them: one line, an exit code, and nothing lost"
import json
import os
import resource
import signal
import subprocess
import sys
import time
from unittest.mock import patch

import pytest

from elm_nb import __version__
from elm_nb.cli import main
from elm_nb.language.model import SMOLLM2
from elm_nb.search.run import Run, RunError
from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, recorded, start

ELM = [sys.executable, '-c', 'from elm_nb.cli import main; main()']


def elm(*arguments):
    "Exit code of a command run in this process, which is its message if it fails"
    with patch('sys.argv', ['elm', *map(str, arguments)]):
        try: main()
        except SystemExit as end: return end.code


def genetic(folder, iterations, *more):
    "A genetic run in one process"
    options = '--mutator', 'genetic', '--iterations', iterations, '--processes', 1, '--out', folder
    return elm('evolve', *options, *more)


def check(message, *parts):
    assert isinstance(message, str) and '\n' not in message, message
    for part in parts: assert part in message, message


def rows(folder):
    with Run(folder) as run: return list(run.entries())


@pytest.mark.parametrize('arguments, parts', [
    (['--domain', 'chess'], ["'chess'", 'sodarace']),
    (['--domain', 'no.such:thing'], ['no.such:thing']),
    (['--seed-program', 'wheel'], ["'wheel'", 'square, radial, cppn_fixed, cppn_mutable']),
    (['--mutator', 'magic'], ["'magic'", 'diff, genetic and portfolio']),
    (['--children', '0'], ['children is 0', 'at least 1']),
    (['--seed', '-1'], ['seed is -1']),
    (['--top-p', '0'], ['top_p']),
    (['--temperature', '-1'], ['temperature is -1']),
    (['--temperature', '0', '--top-p', '0.5'], ['top_p has no effect', 'temperature is 0']),
    (['--mutator', 'genetic', '--model', SMOLLM2], ['model has no effect', "'genetic'", 'ask for diff']),
    (['--mutator', 'genetic', '--temperature', '0.7'], ['temperature has no effect', "'genetic'"]),
    (['--mutator', 'genetic', '--top-p', '0.9'], ['top_p has no effect', "'genetic'"]),
    (['--mutator', 'genetic', '--format', 'rewrite'], ['format has no effect', "'genetic'"]),
    (['--mutator', 'genetic', '--examples'], ['examples has no effect', "'genetic'"]),
    (['--mutator', 'genetic', '--wishes'], ['wishes has no effect', "'genetic'"]),
    (['--mutator', 'genetic', '--bf16'], ['bf16 has no effect', "'genetic'"]),
    (['--mutator', 'genetic', '--operators', 'x'], ['unknown operators', 'numbers, usual, all']),
    (['--operators', 'all'], ['operators has no effect', "'diff'", 'ask for genetic']),
    (['--processes', '-1'], ['processes is -1']),
    (['--evaluators', '-1'], ['evaluators is -1', 'must not be negative']),
    (['--evaluators', '1000000'], ['evaluators is 1000000', 'memory holds']),
    (['--domain', 'math:pi'], ['math:pi', 'no domain']),
    (['--domain', ':x'], ["':x'"]),
    (['--model', 'nobody/no-such-model'], ["'nobody/no-such-model'", 'no network', SMOLLM2]),
    (['--model', '/tmp'], ["'/tmp'", 'config.json']),
    (['--mutator', 'genetic', '--out', '/proc/elm'], ['/proc/elm', 'nothing was logged yet']),
])
def test_bad_options(arguments, parts, tmp_path):
    before = set(tmp_path.rglob('*'))
    check(elm('evolve', '--iterations', 1, '--out', tmp_path/'run', *arguments), *parts)
    assert set(tmp_path.rglob('*')) == before # no folder is left behind


def test_version(capsys):
    assert elm('--version') is None
    assert capsys.readouterr().out == f'elm_nb {__version__}\n'


def test_examples_that_a_domain_does_not_have(tmp_path, monkeypatch):
    (tmp_path/'words.py').write_text(LETTERS)
    monkeypatch.syspath_prepend(tmp_path)
    config = EvolveConfig('words:Letters', 'one', examples=True)
    with pytest.raises(RunError, match="examples has no effect.*'words:Letters'"):
        start(config, tmp_path/'run', 1)
    assert not (tmp_path/'run').exists()


def test_damaged_model(tmp_path, monkeypatch):
    monkeypatch.setenv('ELM_NB_CACHE', str(tmp_path))
    folder = tmp_path/SMOLLM2
    folder.mkdir()
    (folder/'model.safetensors').write_bytes(b'half a model')
    (folder/'sha256.json').write_text(json.dumps({'model.safetensors': '0'*64}))
    said = elm('evolve', '--processes', 1, '--out', tmp_path/'run')
    check(said, 'model.safetensors', 'is damaged', 'delete')


def test_damaged_run(tmp_path):
    folder = tmp_path/'run'
    assert genetic(folder, 1) is None
    for name in ('config.json', 'run.sqlite'):
        kept = (folder/name).read_bytes()
        (folder/name).write_bytes(b'\xffnonsense'*200)
        for command in ('show', 'resume'): check(elm(command, folder), str(folder/name))
        (folder/name).write_bytes(kept)
    assert elm('show', folder) is None


def test_folder_in_use_or_of_another_run(tmp_path):
    config, folder = EvolveConfig(mutator='genetic', iterations=1), tmp_path/'run'
    with Run(folder, recorded(config, Sodarace()) | {'seed': 9}): pass # empty, so another may take over
    assert genetic(folder, 1) is None
    with Run(folder, recorded(config, Sodarace())):
        check(genetic(folder, 1), str(folder), 'in use by another process')
    check(genetic(folder, 1, '--seed', 5), 'seed is 0 there and 5 here')
    (tmp_path/'letters.txt').write_text('mine')
    check(elm('evolve', '--mutator', 'genetic', '--out', tmp_path), 'is not empty')
    assert (tmp_path/'letters.txt').read_text() == 'mine'


@pytest.mark.parametrize('processes', [1, 2])
def test_full_disk(processes, tmp_path):
    "A file may not grow beyond 150 kB, as on a disk that is full; afterwards the run goes on"
    command = ['evolve', '--mutator', 'genetic', '--iterations', '12', '--processes', str(processes)]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
    command_there = [*ELM, *command, '--out', tmp_path/'run']
    full = subprocess.run(command_there, preexec_fn=limit, capture_output=True, text=True)
    assert full.returncode == 1
    last = full.stderr.strip().splitlines()[-1]
    check(last, str(tmp_path/'run'), 'is safe', 'elm resume')
    kept = rows(tmp_path/'run')
    assert len(kept) > 1
    assert elm('resume', tmp_path/'run', '--processes', 1) is None
    assert elm(*command[:-1], 1, '--out', tmp_path/'whole') is None
    assert rows(tmp_path/'run') == rows(tmp_path/'whole')
    assert rows(tmp_path/'run')[:len(kept)] == kept


@pytest.mark.parametrize('processes', [1, 2])
def test_ctrl_c(processes, tmp_path):
    folder = tmp_path/'run'
    options = ['--mutator', 'genetic', '--iterations', '10000', '--out', folder, '--processes']
    process = subprocess.Popen([*ELM, 'evolve', *options, str(processes)], start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) # in the background, too
    log = folder/'run.sqlite'
    while not log.exists() or log.stat().st_size < 100_000: time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT) # what a terminal does
    try: _, said = process.communicate(timeout=60)
    finally: process.kill()
    assert process.returncode == 130
    assert said.strip().splitlines()[-1].endswith(f'go on with: elm resume {folder}')
    assert 'Traceback' not in said
    n = len(rows(folder))
    assert n > 1 and (n-1) % 32 == 0


LETTERS = '''
from elm_nb.search.domain import Evaluation
class Letters:
    seeds, messages = {'one': 'x = 1 + 2'}, {'Changed the sum.': 1.}
    axes = {'length': (0, 20, 10)}
    def evaluate(self, program): return Evaluation('ok', len(set(program)), (len(program),))
'''


@pytest.mark.parametrize('processes', [1, 2])
def test_a_domain_of_ones_own(processes, tmp_path):
    "Ten lines in the current folder, without pictures or worked examples"
    (tmp_path/'letters.py').write_text(LETTERS)
    options = '--domain letters:Letters --seed-program one --mutator genetic --iterations 4 --out run'.split()
    command = [*ELM, 'evolve', *options, '--processes', str(processes)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'x = 1 + 2' in (tmp_path/'run/index.html').read_text() and len(rows(tmp_path/'run')) == 1 + 4*32


@pytest.mark.parametrize('config', [{}, [], {'seed': 3}])
def test_a_run_that_elm_did_not_make(config, tmp_path):
    with Run(tmp_path/'run', {'seed': 3}): pass
    (tmp_path/'run/config.json').write_text(json.dumps(config))
    for command in ('show', 'resume'): check(elm(command, tmp_path/'run'), str(tmp_path/'run'))


def test_a_run_with_an_option_that_is_gone(tmp_path):
    "It cannot be gone on with, and its page can still be written"
    assert genetic(tmp_path/'run', 1) is None
    file = tmp_path/'run/config.json'
    whole = file.read_text()
    wrong = ({'digits': 0.}, 'was not written by this version'), ({'temperature': 0.7}, 'has no effect')
    for gone,said in wrong:
        file.write_text(json.dumps(json.loads(whole) | gone))
        check(elm('resume', tmp_path/'run'), said)
        assert elm('show', tmp_path/'run') is None
        file.write_text(whole)
    assert elm('resume', tmp_path/'run', '--processes', 1) is None


def test_page_is_whole_or_old(tmp_path):
    "A disk that is full while the page is written leaves the old page"
    assert genetic(tmp_path/'run', 2) is None
    page = (tmp_path/'run/index.html').read_bytes()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(page)//2, resource.RLIM_INFINITY))
    full = subprocess.run([*ELM, 'show', tmp_path/'run'], preexec_fn=limit, capture_output=True, text=True)
    assert full.returncode == 1
    check(full.stderr.strip().splitlines()[-1], str(tmp_path/'run'))
    assert (tmp_path/'run/index.html').read_bytes() == page


def test_resume_for_longer(tmp_path):
    assert genetic(tmp_path/'run', 2) is None
    check(elm('resume', tmp_path/'run', '--iterations', 1), 'asked for 2 iterations')
    assert elm('resume', tmp_path/'run', '--iterations', 3, '--processes', 1) is None
    assert genetic(tmp_path/'whole', 3) is None
    assert rows(tmp_path/'run') == rows(tmp_path/'whole')


@pytest.mark.parametrize('scale', ['tiny', 'small', 'paper'])
def test_each_scale_can_be_asked_for_other_models_and_algorithms(scale, tmp_path):
    with patch('elm_nb.cli.pipeline') as begun, patch('elm_nb.cli._write_page'):
        options = '--generator', '0.1M', '--algorithm', 'rloo', '--ten', 'resnet', '--out', tmp_path
        assert not elm('pipeline', '--scale', scale, *options)
    config = begun.call_args.args[0]
    assert (config.generator.model, config.reinforce.algorithm, config.ten) == ('0.1M', 'rloo', 'resnet')
