"How the site documents a function or class: its docstring, and a table of what it takes and returns, as written in its source"
import ast, inspect, re, textwrap
from dataclasses import is_dataclass
from importlib import import_module
from io import StringIO
from operator import attrgetter
from tokenize import COMMENT, generate_tokens
from typing import NamedTuple

from elm_nb._modidx import d
from nbdev.showdoc import BasicMarkdownRenderer

class Row(NamedTuple):
    name:str
    type:str
    default:str
    details:str

def _text(node): return ast.unparse(node) if node else ''

def _comments(source):
    "The comment of each line, by its number"
    return {t.start[0]: t.string.lstrip('# ') for t in generate_tokens(StringIO(source).readline) if t.type == COMMENT}

def _fields(definition, comments):
    "Of a class whose fields are its parameters"
    return [Row(f.target.id, _text(f.annotation), _text(f.value), comments.get(f.end_lineno, '')) for f in definition.body if isinstance(f, ast.AnnAssign)]

def _parameters(definition, comments):
    "Of a function; a comment belongs to what stands last on its line"
    a, returned = definition.args, definition.returns
    plain = a.posonlyargs + a.args
    found = [(p.arg, p, d) for p,d in zip(plain, [None]*(len(plain) - len(a.defaults)) + a.defaults) if p.arg != 'self']
    found += [(f'{star}{p.arg}', p, None) for star,p in (('*', a.vararg), ('**', a.kwarg)) if p] + [(p.arg, p, d) for p,d in zip(a.kwonlyargs, a.kw_defaults)]
    told = {(d or p).end_lineno: name for name,p,d in found}
    if returned: told[returned.end_lineno] = ''
    details = {name: comments.get(line, '') for line,name in told.items()}
    rows = [Row(name, _text(p.annotation), _text(d), details.get(name, '')) for name,p,d in found]
    return rows + ([Row('', _text(returned), '', details.get('', ''))] if _text(returned) not in ('', 'None') else [])

def table(symbol)->list[Row]:
    "A row for each parameter, and one for what is returned"
    source = textwrap.dedent(inspect.getsource(symbol))
    definition, comments = ast.parse(source).body[0], _comments(source)
    if isinstance(definition, ast.ClassDef):
        if is_dataclass(symbol) or issubclass(symbol, tuple): return _fields(definition, comments)
        definition = next((f for f in definition.body if isinstance(f, ast.FunctionDef) and f.name == '__init__'), None)
    return _parameters(definition, comments) if isinstance(definition, ast.FunctionDef) else []

def _cell(text, code=False):
    text = text.replace('|', '\\|').replace('\n', ' ')
    return (f'`{text}`' if text else '') if code else _options_as_code(text)

def _options_as_code(text): return re.sub(r'(?<![`\w-])--\w[\w-]*', r'`\g<0>`', text) # two hyphens would become a dash

def _in_library(name, symbol):
    "A symbol as the library has it, and its file; in a notebook it was made by a cell, whose lines tell nothing"
    for module,known in d['syms'].items():
        if f'{module}.{name}' not in known: continue
        found = attrgetter(name)(import_module(module))
        found = found.fget if isinstance(found, property) else inspect.unwrap(found)
        if inspect.getdoc(found) == inspect.getdoc(symbol): return found, known[f'{module}.{name}'][1]
    return None, ''

class ApiTable(BasicMarkdownRenderer):
    def __init__(self, sym, name=None, title_level=3):
        super().__init__(sym, name=name, title_level=title_level)
        if hasattr(sym, '__wrapped__'): self.nm = self.fn = sym.__qualname__ # of the function inside of a decorator only the last part is left

    def _repr_markdown_(self):
        head, rows = '---\n\n', []
        symbol, file = _in_library(re.sub(r'^elm_nb\.[a-z_]+\.', '', self.fn), self.sym)
        if symbol:
            rows, line = table(symbol), inspect.getsourcelines(symbol)[1]
            link = f'{d["settings"]["git_url"]}/blob/{d["settings"]["branch"]}/{file}#L{line}'
            head += f'[source]({link}){{target="_blank" style="float:right; font-size:smaller"}}\n\n'
        cells = [('', 'type', 'default', ''), ('---',)*4]
        cells += [(_cell(r.name, code=True) or '*returns*', _cell(r.type, code=True), _cell(r.default, code=True), _cell(r.details)) for r in rows]
        if not any(r.default for r in rows): cells = [(name, type, details) for name,type,_,details in cells]
        lines = ['::: {.api}', '', *(f'| {" | ".join(row)} |' for row in cells), '', ':::']
        parts = [head + f'{"#"*self.title_level} {self.nm}', _options_as_code(self.docs or ''), '\n'.join(lines) if rows else '']
        return '\n\n'.join(p for p in parts if p)
