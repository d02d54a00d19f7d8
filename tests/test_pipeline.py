"The three stages together, on a scale of seconds: one process or two, kills, bad input"
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from test_cli import check, elm

import elm_nb.pipeline as pipeline_module
import elm_nb.stage1 as stage1_module
from elm_nb.invention.generator import GeneratorConfig
from elm_nb.invention.reinforce import ReinforceConfig
from elm_nb.language.finetune import FinetuneConfig
from elm_nb.language.model import ModelError, save_tiny_model
from elm_nb.language.training import TrainingError
from elm_nb.pipeline import PipelineConfig, pipeline, run_pipeline
from elm_nb.report import pipeline_report
from elm_nb.search.genetic import GeneticMutator
from elm_nb.search.run import Run, RunError

STEPS = ['stage1/genetic-square-0', 'stage1/diff-square-0']


def config(folder):
    "Everything as small as it gets; two micro-batches in each step, so that two processes give the same bits"
    return PipelineConfig(seed_programs=('square',), genetic=8, evolve=2, parents=2, children=6,
        finetune=FinetuneConfig(save_tiny_model(folder/'tiny'), edits=16, longest=2000),
        generator=GeneratorConfig('0.1M', epochs=4., batch=8, micro_batch=4), samples=16,
        terrains=('left_wall', 'bumpy'), repeats=1, crosswise=4,
        reinforce=ReinforceConfig(iterations=3, samples=16, epochs=1, batch=8, micro_batch=4))


def results(folder):
    "What a pipeline made, without times"
    rows = {}
    for step in STEPS:
        with Run(folder/step) as run: rows[step] = list(run.entries())
    tables = sorted((folder/'stage3'/'seed-0'/'episodes').glob('*.parquet'))
    episodes = [pq.read_table(f).to_pylist() for f in tables]
    files = (f'{STEPS[1]}/adapters/round-2/finetune.json', 'stage2/model/generator.json', 'stage2/score.json',
        'stage3/seed-0/result.json')
    data = (folder/'stage2'/'data'/'data'/'train-00000-of-00001.parquet').read_bytes()
    return rows, episodes, {f: json.loads((folder/f).read_text()) for f in files}, data


def genetic_mutator(*_): return GeneticMutator()


def genetically(workers, config, folder):
    "The genetic mutator stands in for a language model, of which only a real one has anything accepted"
    with patch.object(stage1_module, 'make_mutator', genetic_mutator): run_pipeline(workers, config, folder)


@pytest.fixture(scope='module', autouse=True)
def stand_in():
    with patch.object(stage1_module, 'make_mutator', genetic_mutator), \
        patch.object(pipeline_module, 'run_pipeline', genetically): yield


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pipeline')
    pipeline(config(folder), folder/'one', 1)
    return folder


def test_everything_is_there(finished):
    rows, episodes, files, _ = results(finished/'one')
    assert [len(r) for r in rows.values()] == [1 + 8*12, 1 + 4*12] and [len(e) for e in episodes] == [16]*3
    assert elm('show', finished/'one') is None
    page = (finished/'one'/'index.html').read_text()
    assert pipeline_report(finished/'one').count('<h2>') == 4
    assert page.count('<h2>') == 4 and page.count('<img') >= 5 and 'fine-tuned on' in page
    assert 'http://' not in page.replace('http://www.w3.org/2000/svg', '')
    assert (finished/'one'/STEPS[1]/'index.html').exists() and f'{STEPS[1]}/index.html' in page
    named = files['stage2/model/generator.json']['model'], str(finished/'tiny')
    assert str(finished) not in page.replace(named[0], '').replace(named[1], '')


def test_two_processes_give_the_same(finished):
    pipeline(config(finished), finished/'two', 2)
    assert results(finished/'two') == results(finished/'one')


def test_torchrun(finished):
    "Two ranks that torchrun has started do stage 3 once more"
    folder = finished/'torchrun'
    shutil.copytree(finished/'one', folder)
    shutil.rmtree(folder/'stage3')
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
    subprocess.run([*launcher, __file__, finished, folder, '0'], check=True, capture_output=True)
    assert results(folder) == results(finished/'one')


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='kills are of Unix')
def test_kills(finished):
    "Killed in every stage and started again, it ends as if nothing had happened"
    folder = finished/'killed'

    def is_there(pattern, n=1): return len(list(folder.glob(pattern))) >= n

    def rows(step, n):
        if not (folder/step/'run.sqlite').exists(): return False
        try:
            with Run(folder/step) as run: return len(run.history()) >= n
        except RunError: return False
    moments = [
        (rows, STEPS[0], 4),
        (rows, STEPS[1], 2),
        (is_there, f'{STEPS[1]}/adapters/round-2/checkpoint.pt'),
        (rows, STEPS[1], 4),
        (is_there, 'stage2/model/checkpoint.pt'),
        (is_there, 'stage3/seed-0/episodes/*.parquet', 2)]
    for reached,*what in moments:
        process = subprocess.Popen([sys.executable, __file__, finished, folder, '1'], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not reached(*what):
            assert process.poll() is None, 'it ended before it could be killed'
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.5)
    assert elm('resume', folder, '--processes', '1') is None
    assert results(folder) == results(finished/'one') and (folder/'index.html').exists()


def test_done_is_not_done_again(finished):
    made = '.pt', '.safetensors', '.parquet', '.sqlite'
    before = {f: f.stat().st_mtime_ns for f in (finished/'one').rglob('*') if f.suffix in made}
    pipeline(config(finished), finished/'one', 1)
    assert {f: f.stat().st_mtime_ns for f in before} == before


def stopped_in_its_second_run(finished, folder):
    "A pipeline that was stopped after the first iteration of the language model"
    shutil.copytree(finished/'one', folder)
    for stage in ('stage2', 'stage3'): shutil.rmtree(folder/stage)
    (folder/'seconds.json').unlink()
    with closing(sqlite3.connect(folder/STEPS[1]/'run.sqlite')) as db:
        for table in ('evaluations', 'iterations'): db.execute(f'delete from {table} where iteration > 1')
        db.commit()


def test_resume_of_a_run_inside(finished, tmp_path, monkeypatch):
    "Its model is found wherever the pipeline lies, its rows are the pipeline's, which goes on after it"
    folder = tmp_path/'moved'
    stopped_in_its_second_run(finished, folder)
    monkeypatch.chdir(tmp_path)
    assert elm('resume', f'moved/{STEPS[1]}', '--processes', 1) is None
    whole = results(finished/'one')
    for step in STEPS:
        with Run(folder/step) as run: assert list(run.entries()) == whole[0][step]
    monkeypatch.chdir(folder/STEPS[1])
    assert elm('resume', '.', '--processes', 1) is None
    assert elm('resume', folder, '--processes', 1) is None
    assert results(folder) == whole


def test_a_run_inside_is_as_long_as_the_pipeline_says(finished, tmp_path):
    folder = tmp_path/'part'
    stopped_in_its_second_run(finished, folder)
    before = [(folder/step/'config.json').read_text() for step in STEPS]
    for step in STEPS:
        more = 'rounds' if 'diff' in step else 'iterations'
        said = elm('resume', folder/step, f'--{more}', 9)
        check(said, 'is a part of the pipeline', str(folder), more)
    assert [(folder/step/'config.json').read_text() for step in STEPS] == before


def test_bad_input(finished, tmp_path):
    asked = config(finished)
    with pytest.raises(RunError, match='samples is 16 there and 8 here'):
        pipeline(replace(asked, samples=8), finished/'one', 1)
    (tmp_path/'mine.txt').write_text('mine')
    with pytest.raises(RunError, match='is not empty'): pipeline(asked, tmp_path, 1)
    for wrong, named in ((dict(terrains=('moon',)), 'moon'), (dict(terrains=('flat', 'flat')), 'each once'),
            (dict(seed_programs=()), 'none'), (dict(evolve=0), 'evolve is 0'), (dict(ten='vit'), 'vit'),
            (dict(threshold=2.), 'threshold is 2'), (dict(seed=-1), 'seed is -1')):
        with pytest.raises(ValueError, match=named): replace(asked, **wrong)
    for part, wrong in ((FinetuneConfig, dict(edits=1)), (GeneratorConfig, dict(checks=0)),
            (GeneratorConfig, dict(batch=0)), (ReinforceConfig, dict(scale=0.))):
        with pytest.raises(TrainingError, match=next(iter(wrong))): part(**wrong)
    adapted = FinetuneConfig(save_tiny_model(tmp_path/'plain'), hindsight=True)
    unlearned = {'format': 'infill'}
    with patch.object(pipeline_module, 'adapter_notes', lambda model: unlearned), \
        pytest.raises(ModelError, match='has not learned wishes'):
        pipeline(replace(asked, finetune=adapted), tmp_path/'run', 1)
    elm('evolve', '--mutator', 'genetic', '--iterations', '1', '--processes', '1', '--out', tmp_path/'other')
    before = set((tmp_path/'other').iterdir())
    with pytest.raises(RunError, match='something else than a pipeline'):
        pipeline(asked, tmp_path/'other', 1)
    assert set((tmp_path/'other').iterdir()) == before and elm('show', tmp_path/'other') is None
    check(elm('pipeline', '--generator', '2M', '--out', tmp_path/'run'), "'2M'")
    check(elm('pipeline', '--scale', 'huge', '--out', tmp_path/'run'), 'huge', 'tiny, small, paper')
    check(elm('pipeline', '--algorithm', 'dqn', '--out', tmp_path/'run'), 'dqn', 'ppo and rloo')
    check(elm('resume', finished/'one', '--iterations', '9'), 'cannot be asked for more iterations')
    check(elm('pipeline', '--processes', '-1', '--out', tmp_path/'run'), 'processes is -1')
    assert not (tmp_path/'run').exists()


def test_too_few_processes(tmp_path, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '1') # as under a launcher that started one
    model = save_tiny_model(tmp_path/'tiny')
    said = elm('pipeline', '--processes', '2', '--model', model, '--out', tmp_path/'run')
    check(said, 'asked for 2 processes, but 1 came up')


if __name__ == '__main__':
    with patch.object(pipeline_module, 'run_pipeline', genetically):
        pipeline(config(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3]))
