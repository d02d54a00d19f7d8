"How the site documents a function or class: its docstring, and a table of what it takes and returns, as written in its source"
import ast, inspect, textwrap
from dataclasses import is_dataclass
from importlib import import_module
from operator import attrgetter
from typing import NamedTuple

from fastcore.docments import docments, empty
from nbdev.doclinks import NbdevLookup
from nbdev.showdoc import BasicMarkdownRenderer

class Row(NamedTuple):
    name:str
    type:str
    default:str
    details:str

def _text(node): return ast.unparse(node) if node else ''

def _parameters(definition):
    "Name, type and default of each parameter of a function, or of each field of a dataclass"
    if isinstance(definition, ast.ClassDef):
        return [(f.target.id, _text(f.annotation), _text(f.value)) for f in definition.body if isinstance(f, ast.AnnAssign)], ''
    a = definition.args
    plain = a.posonlyargs + a.args
    defaults = [None]*(len(plain) - len(a.defaults)) + a.defaults
    found = [(p.arg, p, d) for p,d in zip(plain, defaults) if p.arg != 'self']
    found += [(f'{star}{p.arg}', p, None) for star,p in (('*', a.vararg), ('**', a.kwarg)) if p] + [(p.arg, p, d) for p,d in zip(a.kwonlyargs, a.kw_defaults)]
    return [(name, _text(p.annotation), _text(d)) for name,p,d in found], _text(definition.returns)

def table(symbol)->list[Row]:
    "A row for each parameter, and one for what is returned"
    definition = ast.parse(textwrap.dedent(inspect.getsource(symbol))).body[0]
    if isinstance(definition, ast.ClassDef) and not is_dataclass(symbol) and not issubclass(symbol, tuple):
        definition = next((f for f in definition.body if isinstance(f, ast.FunctionDef) and f.name == '__init__'), None)
        if not definition: return []
    elif not isinstance(definition, (ast.ClassDef, ast.FunctionDef)): return []
    told = {name: '' if (d := about.get('docment')) in (None, empty) else d for name,about in docments(symbol, full=True).items()}
    parameters, returned = _parameters(definition)
    rows = [Row(name, type, default, told.get(name.lstrip('*'), '')) for name,type,default in parameters]
    if returned and returned != 'None': rows.append(Row('', returned, '', told.get('return', '')))
    return rows

def _cell(text, code=False):
    text = text.replace('|', '\\|').replace('\n', ' ')
    return f'`{text}`' if code and text else text

def _in_library(name, module):
    "A symbol as the library has it; in a notebook it was made by a cell, whose lines tell nothing"
    found = attrgetter(name.removeprefix(f'{module}.'))(import_module(module))
    return found.fget if isinstance(found, property) else inspect.unwrap(found)

class ApiTable(BasicMarkdownRenderer):
    def __init__(self, sym, name=None, title_level=3):
        super().__init__(sym, name=name, title_level=title_level)
        if hasattr(sym, '__wrapped__'): self.nm = self.fn = sym.__qualname__ # of the function inside of a decorator only the last part is left

    def _repr_markdown_(self):
        head, link, rows = '---\n\n', NbdevLookup().code(self.fn), []
        if link:
            base, file = link.split('#')[0].split('/blob/main/')
            symbol = _in_library(self.fn, file.removesuffix('.py').replace('/', '.'))
            rows, line = table(symbol), inspect.getsourcelines(symbol)[1]
            head += f'[source]({base}/blob/main/{file}#L{line}){{target="_blank" style="float:right; font-size:smaller"}}\n\n'
        cells = [('', 'type', 'default', ''), ('---',)*4]
        cells += [(_cell(r.name, code=True) or '*returns*', _cell(r.type, code=True), _cell(r.default, code=True), _cell(r.details)) for r in rows]
        if not any(r.default for r in rows): cells = [(name, type, details) for name,type,_,details in cells]
        lines = [f'| {" | ".join(row)} |' for row in cells]
        parts = [head + f'{"#"*self.title_level} {self.nm}', self.docs or '', '\n'.join(lines) if rows else '']
        return '\n\n'.join(p for p in parts if p)
