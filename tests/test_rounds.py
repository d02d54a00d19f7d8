"A run that learns as it goes: what it learns from, and that it can be stopped at any moment"
import json
from dataclasses import replace
from unittest.mock import patch

import pytest

import elm_nb.language.training as training_module
import elm_nb.search.evolve as evolve_module
import elm_nb.stage1 as stage1_module
from elm_nb.cli import main
from elm_nb.language.finetune import finetune, FinetuneConfig, start_finetune
from elm_nb.language.lessons import edits_of
from elm_nb.language.model import ModelError, load_model, save_tiny_model
from elm_nb.language.mutator import DiffMutator
from elm_nb.language.wishes import Wishes, wishes_of
from elm_nb.language.training import TrainingError, save_checkpoint
from elm_nb.report import run_report
from elm_nb.search.edit import Applied, Proposal
from elm_nb.search.evolve import evolve
from elm_nb.search.genetic import GeneticMutator
from elm_nb.search.portfolio import Portfolio
from elm_nb.search.map_elites import GridArchive
from elm_nb.search.run import Entry, Run, RunError, shares
from elm_nb.sodarace.domain import Sodarace
from elm_nb.stage1 import EvolveConfig, resume_rounds, RoundsConfig, start, start_rounds


@pytest.fixture(scope='module')
def tiny(tmp_path_factory): return save_tiny_model(tmp_path_factory.mktemp('model')/'tiny')


@pytest.fixture(scope='module')
def genetic(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')/'genetic'
    start(EvolveConfig(mutator='genetic', iterations=12), folder, 1)
    return folder


def learning(model, **options): return FinetuneConfig(model, longest=2000, lr=2e-3, **options)


def rows(folder):
    with Run(folder) as run: return list(run.entries())


class Stopped(Exception): pass


def test_rounds_that_were_stopped_are_equal(tmp_path, tiny):
    "The genetic mutator stands in for a language model, of which only a real one has anything accepted"
    config, used = RoundsConfig(model=tiny, iterations=4, finetune=learning(tiny, edits=20)), []
    def mutator(config, *args):
        used.append(config.model)
        return GeneticMutator()
    with patch.object(stage1_module, 'make_mutator', mutator):
        start_rounds(config, tmp_path/'whole', 1)
        iterate = evolve_module._iteration
        def stopping(iteration, *args):
            if iteration == at: raise Stopped
            return iterate(iteration, *args)
        def saving(*state):
            save_checkpoint(*state)
            raise Stopped
        with patch.object(evolve_module, '_iteration', stopping), pytest.raises(Stopped):
            at = 2
            start_rounds(config, tmp_path/'parts', 1)
        with patch.object(training_module, 'save_checkpoint', saving), pytest.raises(Stopped):
            start_rounds(config, tmp_path/'parts', 1)
        assert rows(tmp_path/'parts')[-1].iteration == 4
        assert not (tmp_path/'parts/adapters/round-2/adapter').exists()
        for at in (5, 7):
            with patch.object(evolve_module, '_iteration', stopping), pytest.raises(Stopped):
                start_rounds(config, tmp_path/'parts', 1)
        start_rounds(config, tmp_path/'parts', 1)
        assert rows(tmp_path/'parts') == rows(tmp_path/'whole')
        assert used[:2] == [tiny, str(tmp_path/'whole/adapters/round-2/adapter')]
        weights = 'adapters/round-2/adapter/adapter_model.safetensors'
        assert (tmp_path/'whole'/weights).read_bytes() == (tmp_path/'parts'/weights).read_bytes()
        learned = json.loads((tmp_path/'whole/adapters/round-2/finetune.json').read_text())['counts']['found']
        first = [e for e in rows(tmp_path/'whole') if e.accepted and 0 < e.iteration <= 4]
        assert learned == len({(e.parent, e.program) for e in first})
        with Run(tmp_path/'whole') as run: page = run_report(run, Sodarace(), gallery=1, played=1)
        whole = rows(tmp_path/'whole')
        for name,found in (('round 2', [e for e in whole if e.iteration > 4]), ('whole run', whole)):
            assert f'<td>{name}</td>' in page
            row = page.split(f'<td>{name}</td>')[1].split('</tr>')[0]
            assert f'<td>{shares(found)["accepted"]:.1%}</td>' in row
        resume_rounds(tmp_path/'whole', 3, 1)
        assert rows(tmp_path/'whole')[-1].iteration == 12
        assert (tmp_path/'whole/adapters/round-3/adapter').exists()
        with pytest.raises(RunError, match='asked for 3 rounds; more can be asked for, not 2'):
            resume_rounds(tmp_path/'whole', 2, 1)


def test_options_of_training_that_would_have_no_effect(tiny):
    "Model, format and arithmetic of the training are those of the run"
    for wrong in (dict(model='another'), dict(format='rewrite'), dict(bf16=True)):
        with pytest.raises(RunError, match=f'finetune.{next(iter(wrong))} has no effect'):
            RoundsConfig(model=tiny, finetune=FinetuneConfig(**wrong))
    with pytest.raises(RunError, match='finetune.hindsight has no effect in rounds without wishes'):
        RoundsConfig(model=tiny, finetune=FinetuneConfig(hindsight=True))
    RoundsConfig(model=tiny, bf16=True, finetune=FinetuneConfig(tiny, bf16=True))


class Late:
    "Changes nothing in the first three iterations"
    def propose(self, program, n, seed):
        if seed[1] > 3: return GeneticMutator().propose(program, n, seed)
        return [Proposal(Applied(program, 'no_op'))]*n


def test_a_round_that_began_without_lessons_stays_so(tmp_path, tiny):
    config, used = RoundsConfig(model=tiny, iterations=3, finetune=learning(tiny)), []
    def mutator(config, *args):
        used.append(config.model)
        return Late()
    iterate = evolve_module._iteration
    def stopping(iteration, *args):
        if iteration == 6: raise Stopped
        return iterate(iteration, *args)
    with patch.object(stage1_module, 'make_mutator', mutator):
        start_rounds(config, tmp_path/'whole', 1)
        with patch.object(evolve_module, '_iteration', stopping), pytest.raises(Stopped):
            start_rounds(config, tmp_path/'parts', 1)
        assert sum(e.accepted for e in rows(tmp_path/'parts')) > 5 # by now there are lessons
        start_rounds(config, tmp_path/'parts', 1)
    assert rows(tmp_path/'parts') == rows(tmp_path/'whole') and set(used) == {tiny}


def test_two_processes_give_the_same_rows(tmp_path, tiny):
    config = RoundsConfig(model=tiny, iterations=1, parents=2, children=3)
    for n in (1, 2): start_rounds(config, tmp_path/f'{n}', n)
    assert rows(tmp_path/'1') == rows(tmp_path/'2') and len(rows(tmp_path/'1')) == 13


def test_what_is_learned_from(tmp_path, tiny, genetic):
    with Run(genetic) as run:
        new, improved = edits_of(run, ('new',)), edits_of(run, ('improved',))
        rejected = edits_of(run, ('rejected', ''))
        entries = list(run.entries())
    assert len(new) + len(improved) == sum(e.accepted for e in entries) - 1
    assert len(rejected) == sum(e.changed and not e.accepted for e in entries)
    counts, _ = finetune([genetic], Sodarace(), learning(tiny, improved=0.), tmp_path/'new')
    assert counts['found'] == len(set(new)) < len({*new, *improved})
    learned = learning(tiny, hindsight=True, edits=1000, epochs=3)
    counts, log = finetune([genetic], Sodarace(), learned, tmp_path/'hindsight')
    assert counts['found'] == sum(n for reason,n in counts.items() if reason != 'found')
    assert counts['used'] > 5
    checks = [l.held_out for l in log if l.held_out is not None]
    assert checks[-1] < checks[0]


def test_hindsight_says_what_an_edit_did(genetic):
    domain = Sodarace()
    with Run(genetic) as run:
        entries = {e.id: e for e in run.entries()}
        children = [e for e in entries.values() if e.parent is not None and e.accepted]
        found = edits_of(run, hindsight=domain)
    assert len(found) == len(children)
    for change,child in zip(found, children):
        joints = child.behavior[2] - entries[child.parent].behavior[2]
        if change.message == 'Added joints.': assert joints > 0
        elif change.message == 'Removed joints.': assert joints < 0
        else: assert change.message in ('', *wishes_of(domain))
    assert sum(bool(c.message) for c in found) > len(found)/3


def test_the_command(tmp_path, tiny, genetic):
    options = ['--model', tiny, '--edits', '8', '--processes', '2', '--out', str(tmp_path/'out')]
    with patch('sys.argv', ['elm', 'finetune', str(genetic), *options]): main()
    assert load_model(str(tmp_path/'out/adapter')).notes == {'format': 'infill'}


def test_runs_that_cannot_teach(tmp_path, tiny, genetic):
    with pytest.raises(RunError, match='no run'): start_finetune([], learning(tiny), tmp_path/'out', 1)
    with pytest.raises(RunError, match='not the folder of a run'):
        start_finetune([tmp_path], learning(tiny), tmp_path/'out', 1)
    with Run(tmp_path/'other', {'domain': 'letters:domain'}): pass
    with pytest.raises(RunError, match='of one domain'):
        start_finetune([genetic, tmp_path/'other'], learning(tiny), tmp_path/'out', 1)
    with pytest.raises(ModelError, match="in the format 'infill'"):
        start_finetune([genetic], FinetuneConfig(format='unified'), tmp_path/'out', 1)
    with pytest.raises(TrainingError, match='improved is 1.5'): learning(tiny, improved=1.5)
    start(EvolveConfig(mutator='genetic', iterations=1, parents=1, children=1, seed=1), tmp_path/'empty', 1)
    with pytest.raises(TrainingError, match='too few edits'):
        start_finetune([tmp_path/'empty'], learning(tiny), tmp_path/'out', 1)


def test_wishes_go_on_where_they_were(tmp_path, tiny):
    sodarace = Sodarace()
    def run(folder, *iterations):
        for n in iterations:
            mutator = DiffMutator(load_model(tiny), Wishes(sodarace))
            with Run(folder, {'seed': 0}) as run:
                evolve(sodarace, mutator, sodarace.seeds['square'], n, 1, 4, run=run)
        return rows(folder), mutator.messages.filled.tolist(), mutator.messages.places
    whole = run(tmp_path/'whole', 6)
    assert run(tmp_path/'parts', 3, 6) == whole
    messages = {e.message for e in whole[0][1:]}
    assert len(messages) > 1 and messages <= set(wishes_of(sodarace))
    sodarace.sandbox.close()


def test_a_portfolio_goes_on_where_it_was(tmp_path, tiny):
    sodarace = Sodarace()
    def run(folder, *iterations):
        for n in iterations:
            both = {'diff': DiffMutator(load_model(tiny), Wishes(sodarace)), 'genetic': GeneticMutator()}
            portfolio = Portfolio(sodarace, both, {'diff': 1., 'genetic': 0.25}, least=0.2)
            with Run(folder, {'seed': 0}) as run:
                evolve(sodarace, portfolio, sodarace.seeds['square'], n, 1, 4, run=run)
        return rows(folder), portfolio.owed, portfolio.shares()
    whole = run(tmp_path/'whole', 20)
    assert run(tmp_path/'parts', 7, 20) == whole
    asked = sum(e.message in wishes_of(sodarace) for e in whole[0]) # the tiny model achieves nothing
    assert 4 <= asked <= 20 and 0.2 <= whole[2]['diff'] < 0.3
    sodarace.sandbox.close()


class Idle:
    "Changes nothing"
    def propose(self, program, n, seed, mates=()): return [Proposal(Applied(program, 'no_op'))]*n


def test_a_mutator_without_an_effect_gives_way():
    sodarace = Sodarace()
    both = {'idle': Idle(), 'genetic': GeneticMutator()}
    portfolio = Portfolio(sodarace, both, {'idle': 1., 'genetic': 1.})
    evolve(sodarace, portfolio, sodarace.seeds['square'], 8, 1, 4)
    assert portfolio.times['idle'] > 0 and portfolio.times['genetic'] > portfolio.times['idle']
    sodarace.sandbox.close()


def test_a_portfolio_from_a_configuration(tmp_path, tiny):
    config = EvolveConfig(mutator='portfolio', model=tiny, iterations=4, parents=1, wishes=True)
    start(config, tmp_path/'run', 1)
    asked = {e.message in wishes_of(Sodarace()) for e in rows(tmp_path/'run')[1:]}
    assert asked == {True, False}
    with pytest.raises(RunError, match='there are diff, genetic and portfolio'): EvolveConfig(mutator='both')


def test_wishes_that_an_adapter_has_not_learned(tiny, genetic, tmp_path):
    "An adapter notes that it learned with hindsight, also where it is trained further without"
    for name,options in (('without', {}), ('with', {'hindsight': True})):
        start_finetune([str(genetic)], learning(tiny, edits=8, **options), tmp_path/name, 1)
    further = learning(str(tmp_path/'with/adapter'), edits=8)
    start_finetune([str(genetic)], further, tmp_path/'further', 1)
    sodarace = Sodarace()
    with pytest.raises(ModelError, match='has not learned wishes.*--hindsight'):
        DiffMutator(load_model(tmp_path/'without/adapter'), Wishes(sodarace))
    config = EvolveConfig(model=str(tmp_path/'without/adapter'), wishes=True)
    with pytest.raises(ModelError, match='has not learned wishes'): start(config, tmp_path/'run', 1)
    assert not (tmp_path/'run').exists()
    for name in ('with', 'further'): DiffMutator(load_model(tmp_path/name/'adapter'), Wishes(sodarace))


def test_drift_from_a_configuration(tmp_path):
    for drift in (True, False):
        config = EvolveConfig(mutator='genetic', iterations=10, parents=1, drift=drift)
        start(config, tmp_path/f'{drift}', 1)
        assert ('drifted' in {e.verdict for e in rows(tmp_path/f'{drift}')}) == drift


def test_a_model_learns_its_own_edits_in_a_portfolio(tmp_path):
    letters = Entry(id=0, iteration=0, parent=None, message='', raw='', edit='exact', edit_detail='', diff='',
        program='a', status='ok', detail='', fitness=1., behavior=(1.,), fingerprint='a', runnable=True,
        verdict='new')
    one = replace(letters, id=1, iteration=1, parent=0, diff='+')
    asked = replace(one, message='Longer.', raw='+ab', program='ab')
    genetic = replace(one, id=2, message='add', program='abc')
    with Run(tmp_path/'run', {'mutator': 'portfolio'}) as run:
        run.append([letters], GridArchive({'length': (0, 9, 9)}), 0.)
        run.append([asked, genetic], GridArchive({'length': (0, 9, 9)}), 0.)
        assert [c.message for c in edits_of(run)] == ['Longer.']
