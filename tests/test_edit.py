"Edits: what is made can be read and applied, and nothing is applied halfway"
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from elm_nb.edit import APPLIED, FORMATS, apply, make, parse

LINES = st.lists(st.sampled_from(['a = 1', '    b = 2', '    c = f(a)', '', 'return', '+x', '-y', '@@']), min_size=1, max_size=14)


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
    edit = parse(make(before, after, 'replace'), 'replace')
    if edit.problem: return # the only unique context is empty lines, which a block may not search for
    result = apply(edit, before)
    assert result.status not in APPLIED or result.source == after


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
    assert apply(parse(make(before, after)), before) == apply(parse(make(before, after, 'replace'), 'replace'), before)


@pytest.mark.parametrize('text', ['@@ -1,1 +1,1 @@\nwhat', '', '@@ @@', '+only', '--- a\n+++ b'])
def test_malformed_diffs(text):
    assert apply(parse(text), 'x = 1').status == 'malformed'
