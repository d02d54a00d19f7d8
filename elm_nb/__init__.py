"""Evolution through large models: search, language, sodarace and invention.

What a user begins with can be imported from here; each name is loaded when it is first asked for.
"""
from importlib import import_module

__version__ = "0.1.0"

class ElmError(ValueError): "What was asked for cannot be done; the message says why and what to do"

_HOMES = {
    # To evolve: what a program is worth, where it runs, the map, the loop, its log
    'Evaluation': 'search.domain',
    'Sandbox': 'search.sandbox',
    'GridArchive': 'search.map_elites',
    'evolve': 'search.evolve',
    'Run': 'search.run',
    # What proposes edits, by chance or by a language model
    'GeneticMutator': 'search.genetic',
    'DiffMutator': 'language.mutator',
    'load_model': 'language.model',
    # Walkers
    'Sodarace': 'sodarace.domain',
    'Walker': 'sodarace.walker',
    'Muscle': 'sodarace.walker',
    'simulate': 'sodarace.simulator',
    'animate': 'sodarace.show',
}

__all__ = ['ElmError', *_HOMES]

def __getattr__(name):
    "Load a name when it is first asked for, so that `import elm_nb` loads nothing"
    if name not in _HOMES: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
    globals()[name] = found # the next time, Python finds it by itself
    return found

def __dir__(): return sorted({*globals(), *_HOMES})
