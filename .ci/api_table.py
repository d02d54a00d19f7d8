"How the site documents a function or class: docstring, a table of what it takes and returns, source, folded"
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
    tokens = generate_tokens(StringIO(source).readline)
    return {t.start[0]: t.string.lstrip('# ') for t in tokens if t.type == COMMENT}

def _fields(definition, comments):
    "Of a class whose fields are its parameters"
    def row(field): return Row(
        field.target.id, _text(field.annotation), _text(field.value), comments.get(field.end_lineno, ''))
    return [row(field) for field in definition.body if isinstance(field, ast.AnnAssign)]

def _arguments(a):
    "Name, argument and default of each parameter, in their order"
    plain = a.posonlyargs + a.args
    defaults = [None]*(len(plain) - len(a.defaults)) + a.defaults
    yield from ((p.arg, p, default) for p,default in zip(plain, defaults) if p.arg != 'self')
    if a.vararg: yield f'*{a.vararg.arg}', a.vararg, None
    if a.kwarg: yield f'**{a.kwarg.arg}', a.kwarg, None
    yield from ((p.arg, p, default) for p,default in zip(a.kwonlyargs, a.kw_defaults))

def _parameters(definition, comments):
    "Of a function; a comment belongs to what stands last on its line"
    found, returned = list(_arguments(definition.args)), definition.returns
    told = {(default or p).end_lineno: name for name,p,default in found}
    if returned: told[returned.end_lineno] = ''
    details = {name: comments.get(line, '') for line,name in told.items()}
    rows = [Row(name, _text(p.annotation), _text(default), details.get(name, '')) for name,p,default in found]
    if _text(returned) in ('', 'None'): return rows
    return rows + [Row('', _text(returned), '', details.get('', ''))]

def source_of(symbol)->str:
    "As its file has it; of a class without the methods that other cells gave it"
    return textwrap.dedent(inspect.getsource(symbol)).rstrip()

def table(symbol)->list[Row]:
    "A row for each parameter, and one for what is returned"
    source = source_of(symbol)
    definition, comments = ast.parse(source).body[0], _comments(source)
    if isinstance(definition, ast.ClassDef):
        if is_dataclass(symbol) or issubclass(symbol, tuple): return _fields(definition, comments)
        methods = [f for f in definition.body if isinstance(f, ast.FunctionDef)]
        definition = next((f for f in methods if f.name == '__init__'), None)
    return _parameters(definition, comments) if isinstance(definition, ast.FunctionDef) else []

def _cell(text, code=False):
    text = text.replace('|', '\\|').replace('\n', ' ')
    if code: return f'`{text}`' if text else ''
    return _options_as_code(text)

def _options_as_code(text):
    "Of two hyphens the site would make a dash"
    return re.sub(r'(?<![`\w-])--\w[\w-]*', r'`\g<0>`', text)

def _as_table(rows):
    lines = [('', 'type', 'default', ''), ('---',)*4]
    for r in rows:
        name = _cell(r.name, code=True) or '*returns*'
        lines.append((name, _cell(r.type, code=True), _cell(r.default, code=True), _cell(r.details)))
    if not any(r.default for r in rows): lines = [(name, kind, details) for name,kind,_,details in lines]
    return '\n'.join(['::: {.api}', '', *(f'| {" | ".join(line)} |' for line in lines), '', ':::'])

def folded(code, summary='Code')->str:
    "Code that a click unfolds, in words that Quarto and smalldocs read alike"
    fence = '`'*max(3, 1 + max(map(len, re.findall('`+', code)), default=0))
    opening = f'<details class="code-fold source"><summary>{summary}</summary>'
    return f'{opening}\n\n{fence}python\n{code}\n{fence}\n\n</details>'

def _in_library(name, symbol):
    "A symbol as the library has it, and its file; in a notebook a cell made it, whose lines tell nothing"
    for module,known in d['syms'].items():
        full = f'{module}.{name.removeprefix(f"{module}.")}'
        if full not in known: continue
        found = attrgetter(full.removeprefix(f'{module}.'))(import_module(module))
        found = found.fget if isinstance(found, property) else inspect.unwrap(found)
        if inspect.getdoc(found) == inspect.getdoc(symbol): return found, known[full][1]
    return None, ''

class ApiTable(BasicMarkdownRenderer):
    def __init__(self, sym, name=None, title_level=3):
        super().__init__(sym, name=name, title_level=title_level)
        # of the function inside of a decorator only the last part of the name is left
        if hasattr(sym, '__wrapped__'): self.nm = self.fn = sym.__qualname__

    def _repr_markdown_(self):
        parts, rows, code = ['---'], [], ''
        symbol, file = _in_library(self.fn, self.sym)
        if symbol:
            rows, line, code = table(symbol), inspect.getsourcelines(symbol)[1], source_of(symbol)
            link = f'{d["settings"]["git_url"]}/blob/{d["settings"]["branch"]}/{file}#L{line}'
            parts.append(f'[source]({link}){{target="_blank" style="float:right; font-size:smaller"}}')
        parts += [f'{"#"*self.title_level} {self.nm}', _options_as_code(self.docs or '')]
        if rows: parts.append(_as_table(rows))
        if code: parts.append(folded(code))
        return '\n\n'.join(part for part in parts if part)
