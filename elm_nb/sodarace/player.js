// A map whose cells play their champions. `Exhibit`s come packed: as JSON, and their motion as differences.

const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]; // Dark to bright

async function unpack(text) { // From base64 of what zlib compressed, to bytes
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpackMotion(champions, bytes) { // Differences in tenths: all low bytes, then all high ones
  const half = bytes.length/2;
  const difference = at => (bytes[at] | bytes[half + at] << 8) << 16 >> 16;
  let at = 0;
  for (const champion of champions) {
    let frame = new Float32Array(2*champion.joints);
    champion.motion = [];
    for (let f = 0; f < champion.frames; f++) {
      frame = frame.map(last => last + difference(at++)/10);
      champion.motion.push(frame);
    }
  }
}

function points(frame) { // x, y, x, y, ... as pairs
  return Array.from({length: frame.length/2}, (_, k) => [frame[2*k], frame[2*k+1]]);
}

function viewOf(champion) { // How many units are to be seen of it and around it
  const xs = points(champion.motion[0]).map(([x]) => x);
  const heights = champion.motion.map(frame => Math.max(...points(frame).map(([, y]) => y)));
  const top = Math.max(0, ...heights);
  return Math.max(2.2*(Math.max(...xs) - Math.min(...xs)), 2.2*(top + 2), 24);
}

function pairsOf(axes) { // Indices of the two axes of each map; of one axis, that and nothing
  if (axes.length < 2) return [[0, 0]];
  return axes.flatMap((_, i) => axes.map((_, j) => [i, j]).slice(i + 1));
}

function span(axis, bin) { // In words
  const width = (axis.high - axis.low)/axis.bins;
  const edge = k => +(axis.low + k*width).toFixed(2);
  return `${axis.name} ${edge(bin)} to ${edge(bin + 1)}`;
}

function colorOf(share) { // Of the best fitness
  const u = 4*Math.min(Math.max(share, 0), 0.9999);
  const i = Math.floor(u);
  const mixed = STOPS[i].map((stop, k) => Math.round(stop + (u - i)*(STOPS[i+1][k] - stop)));
  return `rgb(${mixed})`;
}

class MapPlayer {
  constructor(root, data, champions, colors) {
    this.root = root;
    this.data = data;
    this.champions = champions; // The best first
    this.best = champions.reduce((best, champion) => Math.max(best, champion.fitness), 1e-9);
    this.pairs = pairsOf(data.axes);
    this.world = new World(this.one('canvas'), colors);
    this.cell = [];  // Champions of the cell that was clicked
    this.index = 0;  // Of the one that plays
    this.start = 0;  // When it began, in milliseconds
    this.one('.scale').textContent = `dark: fitness 0, bright: ${this.best.toFixed(1)}`;
    this.addMaps();
    this.addSteps();
  }

  one(selector) { return this.root.querySelector(selector); }

  addMaps() {
    const {axes} = this.data;
    this.pairs.forEach(([i, j], k) => {
      const name = i == j ? axes[i].name : `${axes[i].name} up, ${axes[j].name} to the right`;
      this.one('select').add(new Option(name, k));
    });
    this.one('select').onchange = () => this.drawMap();
  }

  addSteps() {
    const [back, on] = this.root.querySelectorAll('.steps button');
    back.onclick = () => this.show(this.cell, this.index - 1);
    on.onclick = () => this.show(this.cell, this.index + 1);
  }

  show(cell, k) { // Play one champion of a cell
    this.cell = cell;
    this.index = (k + cell.length) % cell.length;
    this.start = performance.now();
    const champion = cell[this.index];
    const fitness = champion.fitness.toFixed(1);
    this.one('pre').textContent = champion.program;
    const place = `${this.index + 1} of ${cell.length} in this cell`;
    this.one('.steps span').textContent = `${place}, fitness ${fitness}`;
    const label = `A walker with ${champion.joints} joints and fitness ${fitness}`;
    this.one('canvas').setAttribute('aria-label', label);
  }

  cells([i, j]) { // The champions of each cell of a map
    const cells = new Map();
    for (const champion of this.champions) {
      const key = this.key(champion.niche[i], i == j ? 0 : champion.niche[j]);
      cells.set(key, [...(cells.get(key) ?? []), champion]);
    }
    return cells;
  }

  key(row, column) { return `${row},${column}`; }

  drawMap() {
    const {axes} = this.data;
    const [i, j] = this.pairs[this.one('select').value];
    const cells = this.cells([i, j]);
    const columns = i == j ? 1 : axes[j].bins;
    const box = this.one('.cells');
    box.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    box.replaceChildren();
    for (let row = axes[i].bins - 1; row >= 0; row--) {
      for (let column = 0; column < columns; column++) {
        const where = span(axes[i], row) + (i == j ? '' : ', ' + span(axes[j], column));
        box.append(this.button(where, cells.get(this.key(row, column))));
      }
    }
    box.querySelector('.first').click();
  }

  button(where, found) { // For a cell
    const button = document.createElement('button');
    button.title = `${where}: empty`;
    button.disabled = !found;
    if (found) {
      const best = found[0].fitness;
      button.title = `${where}: ${found.length} champions, best fitness ${best.toFixed(1)}`;
      button.style.background = colorOf(best/this.best);
      button.classList.toggle('first', found[0] == this.champions[0]);
      button.onclick = () => this.choose(button, found);
    }
    button.setAttribute('aria-label', button.title);
    return button;
  }

  choose(button, found) {
    this.one('.cells [aria-pressed=true]')?.removeAttribute('aria-pressed');
    button.setAttribute('aria-pressed', true);
    this.show(found, 0);
  }

  frame(now) { // Draw what the champion does at this moment
    requestAnimationFrame(next => this.frame(next));
    const champion = this.cell[this.index];
    const last = champion.frames - 1;
    const t = Math.max(now - this.start, 0)/1000*this.data.fps % Math.max(last, 1);
    this.draw(champion, this.between(champion, t, last));
    this.world.pen.font = '16px system-ui, sans-serif';
    this.world.pen.fillText(`${(t/this.data.fps).toFixed(1)} s`, 12, 24);
  }

  between(champion, t, last) { // Where the joints are between two frames
    const f = Math.floor(t);
    const next = champion.motion[Math.min(f + 1, last)];
    return points(Array.from(champion.motion[f], (v, k) => v + (t - f)*(next[k] - v)));
  }

  draw(champion, p) {
    const {world} = this;
    const middle = p.reduce((sum, [x]) => sum + x/champion.joints, 0);
    world.look(middle, 0, champion.view);
    world.clear();
    const thickness = this.data.thickness*world.scale;
    for (const line of this.data.ground) world.line(line, world.colors.ground, thickness);
    world.posts(champion.view, () => 0);
    for (const [a, b, swings] of champion.springs) {
      world.line([p[a], p[b]], swings ? world.colors.swing : world.colors.fixed, 3);
    }
    world.joints(p, Math.max(this.data.joint_radius*world.scale, 3));
  }
}

async function playMap(root, packed) {
  const data = JSON.parse(new TextDecoder().decode(await unpack(packed.data)));
  const {champions} = data;
  unpackMotion(champions, await unpack(packed.motion));
  for (const champion of champions) champion.view = viewOf(champion);
  champions.sort((a, b) => b.fitness - a.fitness);
  const player = new MapPlayer(root, data, champions, packed.colors);
  player.drawMap();
  requestAnimationFrame(now => player.frame(now));
  root.dataset.ready = champions.length;
}
