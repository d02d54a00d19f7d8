"Pages of results, from folders as runs and pipelines leave them"
import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elm_nb.invention.dataset import distill, write_dataset
from elm_nb.pipeline import SCALES
from elm_nb.report import run_report, stage1_report, stage2_report, stage3_report
from elm_nb.search.evolve import evolve
from elm_nb.search.genetic import GeneticMutator
from elm_nb.search.run import Run
from elm_nb.sodarace.domain import SEEDS, Sodarace
from elm_nb.stage1 import EvolveConfig, start

CONFIG = replace(SCALES['tiny'], seed_programs=('square',), repeats=2)
LOG = [[1, 100, 3., 2.9], [2, 200, 2.5, None]]

def write(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data))

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Of a pipeline, whose runs are all genetic and whose other stages are written by hand"
    folder = tmp_path_factory.mktemp('pipeline')
    runs = [folder/f'stage1/{mutator}-square-0' for mutator in ('genetic', 'diff')]
    for seed,out in enumerate(runs): start(EvolveConfig(mutator='genetic', iterations=4, seed=seed), out, 1)
    write(runs[1]/'adapters/round-2/finetune.json', {'counts': {'used': 3, 'found': 5}, 'log': LOG})
    write_dataset(distill(runs, held_out=0.1), folder/'stage2/data')
    write(folder/'stage2/model/generator.json', {'steps': 2, 'log': LOG})
    stats = {'valid': 0.5, 'novel': 0.25, 'unique': 2, 'niches': 2, 'qd_score': 3., 'best': 2.}
    means = {name: {'mean': 4., 'best': 8.} for name in CONFIG.terrains}
    write(folder/'stage2/score.json', {'samples': stats, 'data': stats,
        'on terrains': {'data': means, 'stage 2': means},
        'programs': [SEEDS['radial'], SEEDS['radial'], 'no program']})
    for k in range(CONFIG.repeats): write_stage3(folder/f'stage3/seed-{k}', k)
    return folder

def write_stage3(out, k):
    progress = [[i, 0., float(i), [0.]*3, [0.]*3, 0.5, 1., 0., []] for i in range(1, 17)]
    crosswise = {'reward': [[k + 1.]*3]*3, 'best': [7.]*3, 'distinct': [0.5]*3, 'gain': -0.1}
    write(out/'result.json', {'log': progress, 'crosswise': crosswise})
    rows = [{'terrain': 'bumpy', 'status': status, 'fitness': fitness, 'program': SEEDS['square']}
        for status,fitness in (('ok', 1.), ('ok', 2.5), ('timeout', 9.))]
    (out/'episodes').mkdir()
    pq.write_table(pa.Table.from_pylist(rows), out/'episodes/00016.parquet')

def test_every_stage_has_its_chapter(folder):
    told = {stage.__name__: stage(CONFIG, folder) for stage in (stage1_report, stage2_report, stage3_report)}
    for parts in told.values():
        assert parts[0][0] == 'heading' and parts[1][0] == 'text'
        (cards,) = [content for kind,content in parts if kind == 'cards']
        assert cards
        assert all('<svg' in picture and 'def make_walker' in program for _,picture,program in cards)
    assert '128 evaluations, the language model 128' in told['stage1_report'][1][1]
    assert 'fine-tuned on 3 of the 5 edits' in told['stage1_report'][1][1]
    assert (folder/'stage1/diff-square-0/index.html').exists()
    assert not (folder/'stage1/genetic-square-0/index.html').exists()
    (new,) = told['stage2_report'][-1][1] # the one that is valid and not in the data, once
    assert new[2] == SEEDS['radial']
    html = ''.join(content for kind,content in told['stage3_report'] if kind == 'html')
    assert '<td>1.5 ± 0.5</td>' in html and '<td>-0.1</td>' in html
    titles = [title for title,_,_ in told['stage3_report'][-1][1]]
    assert titles == ['seed-0, bumpy: 2.5', 'seed-1, bumpy: 2.5']

def test_stage_1_says_that_nothing_was_learned(folder, tmp_path):
    shutil.copytree(folder, tmp_path/'pipeline')
    shutil.rmtree(tmp_path/'pipeline/stage1/diff-square-0/adapters')
    parts = stage1_report(CONFIG, tmp_path/'pipeline')
    assert 'Too few of its edits' in parts[1][1] and ('subheading', 'The fine-tuning') not in parts
    once = stage1_report(replace(CONFIG, rounds=1), tmp_path/'pipeline')
    assert once[1][1].endswith('from the same seed programs.')

def test_stage_2_says_what_came_from_genetic_programming(folder):
    text = stage2_report(CONFIG, folder)[1][1]
    rows = pq.read_table(folder/'stage2/data/data').to_pylist()
    train = json.loads((folder/'stage2/data/card.json').read_text())['counts']['train']
    assert f'{train} of the {train} come from genetic programming' in text and len(rows) > train > 1

def test_what_a_program_says_is_no_html(folder):
    class Domain:
        axes = Sodarace.axes
    with Run(folder/'stage1/genetic-square-0') as run: html = run_report(run, Domain(), examples=1, gallery=1)
    assert '<svg' not in html and 'class="elm-map"' not in html, 'a domain need not draw'
    assert html.count('<script') == 0 and '&#39;' in html

def test_a_run_from_python_has_a_page_whatever_its_configuration(tmp_path):
    with Run(tmp_path/'mine', {'note': 'mine'}) as run:
        domain = Sodarace()
        evolve(domain, GeneticMutator(), SEEDS['square'], 1, 1, 4, run=run)
        assert 'whole run' in run_report(run, domain)
