"Evolution through large models: search, language, sodarace and invention. What a user begins with can be imported from here."
from importlib import import_module

__version__ = "0.1.0"

class ElmError(ValueError): "What was asked for cannot be done; the message says why and what to do"

_HOME = {'evolve': 'search.evolve', 'GridArchive': 'search.map_elites', 'GeneticMutator': 'search.genetic', 'Sandbox': 'search.sandbox',
    'Evaluation': 'search.domain', 'Run': 'search.run', 'DiffMutator': 'language.mutator', 'load_model': 'language.model',
    'Sodarace': 'sodarace.domain', 'Walker': 'sodarace.walker', 'Muscle': 'sodarace.walker', 'simulate': 'sodarace.simulator',
    'distill': 'invention.dataset', 'reinforce': 'invention.reinforce'}

__all__ = ['ElmError', *_HOME]

def __getattr__(name):
    "Import a name when it is first asked for, so that `import elm_nb` loads nothing"
    if name not in _HOME: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOME[name]}'), name)

def __dir__(): return [*globals(), *_HOME]
