"Edits: what is made can be read and applied, and nothing is applied halfway"
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from elm_nb.search.edit import FORMATS, apply, make, parse

LINES = st.lists(st.sampled_from(['a = 1', '    b = 2', '    c = f(a)', '', 'return', '+x', '-y', '@@']),
    min_size=1, max_size=14)
EIGHT = '\n'.join('abcdefgh')


@given(LINES, LINES, st.sampled_from(['unified', 'infill']))
def test_round_trip(a, b, format):
    before, after = '\n'.join(a), '\n'.join(b)
    assume(before != after)
    result = apply(parse(make(before, after, format), format), before)
    assert (result.source, result.status) == (after, 'exact')


@given(LINES, LINES)
def test_replace_round_trip(a, b):
    before, after = '\n'.join(a), '\n'.join(b)
    assume(before.strip() and before != after)
    try: text = make(before, after, 'replace')
    except ValueError: return # where there is nothing but empty lines to search for, for example
    assert apply(parse(text, 'replace'), before).source == after


def test_replace_with_an_empty_line():
    for before, after in (('a = 1\nreturn', '\nreturn'), ('a = 1\nreturn', 'return'), ('a', 'a\n')):
        assert apply(parse(make(before, after, 'replace'), 'replace'), before).source == after


def test_what_a_format_cannot_say():
    with pytest.raises(ValueError): make('x = 1\ndef f(): return 1', 'x = 2\ndef f(): return 2', 'rewrite')
    with pytest.raises(ValueError): make('def f(): return 1', 'def g(): return 1', 'rewrite')


@pytest.mark.parametrize('before, text, expected', [
    (EIGHT, '@@ -5,3 +5,1 @@\n+x', 'fuzzy'), # three old lines promised, none given
    (EIGHT, '@@ -6,0 +7,1 @@\n+x\n@@ -2,0 +3,1 @@\n+y', 'malformed'), # out of order
    (EIGHT, '@@ -1,2 +0,0 @@\n-a\n-b\n@@ -8,0 +7,1 @@\n+x', 'exact'), # counted in the lines of before
    (EIGHT, '@@ -1,1 +1,4 @@\n-a\n+1\n+2\n+3\n+4\n@@ -10,0 +13,1 @@\n+x', 'no_match')])
def test_places(before, text, expected): assert apply(parse(text), before).status == expected


def test_rewrite_with_decorators_and_doubles():
    source = '@cache\ndef f():\n    return 1\nx = f()'
    rewritten = apply(parse('@cache\ndef f():\n    return 2', 'rewrite'), source)
    assert rewritten.source == '@cache\ndef f():\n    return 2\nx = f()'
    twice = 'def f(): return 0\ndef f(): return 1'
    assert apply(parse('def f(): return 2', 'rewrite'), twice).status == 'no_match'


def test_fuzzy_keeps_the_lines_around():
    source = 'def f():\n    if a:\n        b = 1\n        c = 2'
    text = '@@ -2,3 +2,3 @@\n if a:\n   b = 1\n-  c = 2\n+  c = 3'
    assert apply(parse(text), source).source == source.replace('c = 2', 'c = 3')


@given(st.text(max_size=300), LINES, st.sampled_from(list(FORMATS)))
def test_any_text_gets_a_verdict(text, lines, format):
    source = '\n'.join(lines)
    result = apply(parse(text, format), source)
    assert (result.source == source) == (result.status in ('no_op', 'no_match', 'malformed'))


@given(LINES, LINES, LINES)
def test_a_failed_hunk_undoes_the_others(a, b, c):
    "A diff whose second hunk does not fit changes nothing"
    source = '\n'.join(a)
    text = make(source, '\n'.join(b)) + '\n@@ -1,1 +1,1 @@\n-not there at all\n+new'
    assert apply(parse(text), source).source == source


def test_two_hunks_shift_each_other():
    before = '\n'.join(f'line {i}' for i in range(30))
    after = before.replace('line 3\n', 'line 3\nmore\nand more\n').replace('line 20', 'line twenty')
    assert make(before, after).count('@@ -') == 2
    replaced = apply(parse(make(before, after, 'replace'), 'replace'), before)
    assert apply(parse(make(before, after)), before) == replaced


@pytest.mark.parametrize('text', ['@@ -1,1 +1,1 @@\nwhat', '', '@@ @@', '+only', '--- a\n+++ b'])
def test_malformed_diffs(text):
    assert apply(parse(text), 'x = 1').status == 'malformed'
