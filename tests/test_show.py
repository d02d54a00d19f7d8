"Pictures, looked at in a real browser where there is one"
import re
from dataclasses import replace

import numpy as np
import pytest

from conftest import differs
from elm_nb.pages import page
from elm_nb.sodarace.show import GROUND, JOINT, SWING, Exhibit, animate, map_player, race
from elm_nb.sodarace.simulator import SimConfig, simulate
from elm_nb.sodarace.terrain import bumpy, flat, tunnel
from elm_nb.sodarace.walker import Muscle, Walker

AXES = {'height': (0, 24, 12), 'width': (0, 24, 12), 'mass': (0, 48, 12)}
DOG = Walker(((0., 0.), (8., 0.), (8., 4.), (0., 4.), (10., 6.)),
    (Muscle(0, 1, 4., 0.), Muscle(1, 2), Muscle(2, 3, 6., 1.5), Muscle(3, 0),
     Muscle(0, 2, 6., 3.), Muscle(2, 4), Muscle(3, 4), Muscle(1, 3)))


@pytest.fixture
def opened(browser, tmp_path):
    "Open a page from disk; neither errors nor requests to anywhere else are allowed"
    troubles, tabs = [], []
    def local(url): return url.startswith(('file:', 'data:', 'blob:'))
    def open_page(html, width=1200):
        file = tmp_path/'page.html'
        file.write_text(html, encoding='utf-8')
        tab = browser.new_page(viewport={'width': width, 'height': 800})
        tabs.append(tab)
        tab.on('pageerror', lambda e: troubles.append(str(e)))
        tab.on('console', lambda m: troubles.append(m.text) if m.type == 'error' else None)
        tab.on('request', lambda r: troubles.append(r.url) if not local(r.url) else None)
        tab.goto(file.as_uri())
        return tab
    yield open_page
    for tab in tabs: tab.close() # its walkers would go on walking
    assert not troubles


@pytest.mark.parametrize('terrain', [flat(), bumpy(), tunnel()], ids=lambda t: t.name)
def test_an_animated_walker_moves(opened, terrain):
    tab = opened(page('A walker', [('html', animate(DOG, simulate(DOG, terrain, fps=10), terrain))]))
    assert differs(tab, 'svg')


def test_a_race_moves(opened):
    terrains = {'on flat ground': flat(), '<on bumps>': bumpy()}
    runners = {name: (DOG, simulate(DOG, terrain, fps=10)) for name, terrain in terrains.items()}
    tab = opened(page('A race', [('html', race(runners))]))
    assert differs(tab, 'svg')
    assert '<on bumps>:' in tab.locator('svg text').nth(1).text_content()


@pytest.mark.parametrize('radius', [0.5, 2., 3.])
def test_the_ground_is_as_thick_as_it_was_simulated(opened, radius):
    config = SimConfig(duration=1., ground_radius=radius)
    rollout = simulate(DOG, config=config, fps=10)
    assert 0 < rollout.positions[...,1].min() < 0.3 # its joints stand on the ground, whose upper edge is at 0
    for svg in (animate(DOG, rollout, config=config), race({'dog': (DOG, rollout)}, config=config)):
        band = re.search(rf'<path d="M-?\d+ (\d+)L-?\d+ (\d+)" stroke="{GROUND}" stroke-width="(\d+)"', svg)
        assert [int(n) for n in band.groups()] == [10*radius, 10*radius, 20*radius]
    exhibit = Exhibit((0, 0, 1), 1., 'a dog', DOG, rollout)
    html = map_player([exhibit], AXES, config=config)
    tab = opened(html.replace('root.dataset.ready =', 'window.data = data; root.dataset.ready ='))
    tab.wait_for_selector('.elm-map[data-ready="1"]')
    assert tab.evaluate('data.thickness') == 2*radius
    assert tab.evaluate('data.ground[0].map(([x, y]) => y)') == [-radius, -radius]

def _pixels(tab, color):
    "How many pixels of the canvas have this color?"
    return tab.evaluate(f"""(() => {{
        const canvas = document.querySelector('canvas');
        const d = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let n = 0;
        for (let i = 0; i < d.length; i += 4) n += (d[i]<<16 | d[i+1]<<8 | d[i+2]) == 0x{color[1:]};
        return n; }})()""")


def exhibits(n):
    "Champions of all kinds, the walkers of realistic size"
    rng, made = np.random.default_rng(0), []
    for i in range(n):
        joints = rng.integers(3, 25)
        xy = rng.uniform(0, 12, (joints, 2))
        pairs = [(a, b) for a in range(joints) for b in range(a+1, min(a+4, joints))]
        walker = Walker(tuple(map(tuple, xy.tolist())), tuple(Muscle(a, b, 5., float(a)) for a,b in pairs))
        niche, program = (i % 12, i//12 % 12, int(joints)//4), f'# program {i}\nif 1 < 2 & 3: "</script>"'
        made.append(Exhibit(niche, float(i), program, walker, simulate(walker, fps=10)))
    return made


def test_the_map_plays_what_is_clicked(opened):
    shown = exhibits(40)
    tab = opened(page('A map', [('html', map_player(shown, AXES))]))
    tab.wait_for_selector('.elm-map[data-ready="40"]')
    assert tab.inner_text('.elm-map pre') == shown[39].program, 'the best champion plays first'
    assert differs(tab, 'canvas')
    for color in (JOINT, SWING, GROUND): assert _pixels(tab, color) > 20, color
    filled = tab.locator('.cells button:not([disabled])')
    assert (filled.count(), tab.locator('.cells button').count()) == (40, 144)
    tab.get_by_label('height 4 to 6, width 0 to 2: 1 champions').click()
    assert tab.inner_text('.elm-map pre') == shown[2].program
    assert differs(tab, 'canvas')
    tab.select_option('.elm-map select', '1')
    assert filled.count() == len({(e.niche[0], e.niche[2]) for e in shown})
    several = tab.locator('.cells button[aria-label*=": 2 champions"]').first
    several.click()
    first = tab.inner_text('.elm-map pre')
    tab.get_by_label('next champion of this cell').click()
    assert tab.inner_text('.elm-map pre') != first
    tab.get_by_label('next champion of this cell').click()
    assert tab.inner_text('.elm-map pre') == first


def test_the_map_plays_the_positions_of_the_simulation(opened):
    shown = exhibits(3)
    html = map_player(shown, AXES, tunnel())
    tab = opened(html.replace('root.dataset.ready =', 'window.champions = champions; root.dataset.ready ='))
    tab.wait_for_selector('.elm-map[data-ready="3"]')
    played = tab.evaluate('champions.map(c => c.motion.map(f => Array.from(f)))') # best first
    for e, motion in zip(shown[::-1], played):
        positions = e.rollout.positions
        assert np.array(motion).reshape(positions.shape) == pytest.approx(positions, abs=0.051)


@pytest.mark.parametrize('width', [390, 1400])
def test_a_map_fits_the_screen(opened, width):
    tab = opened(page('A map', [('html', map_player(exhibits(5), AXES))]), width)
    tab.wait_for_selector('.elm-map[data-ready]')
    assert tab.evaluate('document.documentElement.scrollWidth') <= width


def test_a_map_with_one_axis(opened):
    tab = opened(map_player([replace(e, niche=e.niche[:1]) for e in exhibits(5)], {'height': (0, 24, 12)}))
    tab.wait_for_selector('.elm-map[data-ready="5"]')
    assert tab.locator('.cells button').count() == 12


def test_300_champions_stay_below_2_megabytes():
    text = map_player(exhibits(300), AXES)
    assert 1e5 < len(text.encode()) < 2e6


def test_errors():
    with pytest.raises(ValueError, match='same fps'): map_player([], AXES)
    one = exhibits(1)[0]
    with pytest.raises(ValueError, match='same fps'):
        map_player([one, replace(one, rollout=simulate(one.walker))], AXES)
    with pytest.raises(ValueError, match='simulate with fps'): animate(DOG, simulate(DOG))
    with pytest.raises(ValueError, match='same fps and duration'):
        race({'a': (DOG, simulate(DOG, fps=10)), 'b': (DOG, simulate(DOG, fps=20))})
