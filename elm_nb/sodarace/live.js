// A player around a `Walk`: walkers and grounds to choose from, and a walker that can be changed by hand.

const copyOf = walker => ({joints: walker.joints.map(q => [...q]), muscles: walker.muscles.map(m => [...m])});
const shown = x => String(+x.toFixed(2));

function program(walker) { // The walker in Python
  const joints = walker.joints.map(([x, y], i) => `    j${i} = wc.add_joint(${shown(x)}, ${shown(y)})`);
  const muscles = walker.muscles.map(([a, b, amplitude, phase]) => {
    const swings = amplitude ? `, False, ${shown(amplitude)}, ${shown(phase)}` : '';
    return `    wc.add_muscle(j${a}, j${b}${swings})`;
  });
  const first = ['def make_walker():', '    wc = walker_creator()'];
  return [...first, ...joints, ...muscles, '    return wc.get_walker()'].join('\n');
}

function distance([x, y], [ax, ay], [bx, by]) { // Of a point from the line between a and b
  const [dx, dy] = [bx - ax, by - ay];
  const along = ((x - ax)*dx + (y - ay)*dy)/(dx**2 + dy**2);
  const t = Math.min(Math.max(along, 0), 1);
  return Math.hypot(ax + t*dx - x, ay + t*dy - y);
}

class LivePlayer {
  constructor(root, {walkers, terrains, config, colors}) {
    this.root = root;
    this.walkers = walkers;
    this.terrains = terrains;
    this.config = config;
    this.canvas = root.querySelector('canvas');
    this.world = new World(this.canvas, colors);
    this.sliders = [this.named('amplitude'), this.named('phase')];
    this.outputs = root.querySelectorAll('output');
    this.muscle = 0;   // Chosen to be changed
    this.dragged = -1; // Joint under the pointer
    this.clock = null; // When the next step is due, in milliseconds
    for (const name in walkers) this.named('walker').add(new Option(name));
    for (const terrain of terrains) this.named('terrain').add(new Option(terrain.name));
    this.listen();
  }

  named(name) { return this.root.querySelector(`[name=${name}]`); }
  get building() { return this.named('build').ariaPressed == 'true'; }
  get still() { return this.building || !this.walk; }
  get ended() { return this.walk.seconds >= this.config.duration - this.config.dt/2; }

  listen() {
    this.named('walker').onchange = () => this.load();
    this.named('again').onclick = () => this.load();
    this.named('terrain').onchange = () => this.start();
    this.named('build').onclick = () => this.build(!this.building);
    this.named('muscle').onchange = event => this.choose(event.target.selectedIndex);
    this.sliders.forEach((slider, i) => { slider.oninput = () => this.slide(i); });
    this.canvas.onpointerdown = event => this.take(event);
    this.canvas.onpointermove = event => this.drag(event);
    this.canvas.onpointerup = () => this.leave();
    this.canvas.onpointercancel = () => this.leave();
  }

  load() { // The chosen walker, as evolution made it
    this.walker = copyOf(this.walkers[this.named('walker').value]);
    const names = this.walker.muscles.map(([a, b]) => new Option(`${a} to ${b}`));
    this.named('muscle').replaceChildren(...names);
    this.choose(Math.max(this.walker.muscles.findIndex(([,, amplitude]) => amplitude), 0));
    this.frameWalker();
    this.start();
  }

  start() { // Walk again from the beginning
    this.clock = null;
    this.fault = '';
    this.terrain = this.terrains[this.named('terrain').selectedIndex];
    try {
      this.walk = new Walk(this.walker, this.terrain, this.config);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.walk = null;
      this.fault = error.message;
    }
    this.root.querySelector('pre').textContent = program(this.walker);
  }

  build(on) { // Change the walker, or let it walk
    this.named('build').ariaPressed = on;
    this.named('build').textContent = on ? 'Let it walk' : 'Change it';
    this.root.querySelector('.tools').hidden = !on;
    this.canvas.classList.toggle('build', on);
    this.frameWalker();
    this.start();
  }

  choose(k) { // A muscle to be changed
    this.muscle = k;
    this.named('muscle').selectedIndex = k;
    const [,, amplitude, phase] = this.walker.muscles[k];
    const values = [amplitude, phase - 2*Math.PI*Math.round(phase/(2*Math.PI))];
    values.forEach((value, i) => {
      this.sliders[i].value = value;
      this.outputs[i].textContent = value.toFixed(2);
    });
  }

  slide(i) { // The amplitude or the phase of the chosen muscle
    const value = +this.sliders[i].value;
    this.walker.muscles[this.muscle][2 + i] = value;
    this.outputs[i].textContent = value.toFixed(2);
    this.start();
  }

  frameWalker() { // Where the walker stands in the picture while it is changed
    const [xs, ys] = [column(this.walker.joints, 0), column(this.walker.joints, 1)];
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [low, high] = [Math.min(...ys), Math.max(...ys)];
    this.view = {x: (left + right)/2, y: low, width: Math.max(1.6*(right - left), 3.2*(high - low), 16)};
  }

  look() {
    const {view, world} = this;
    if (this.still) world.look(view.x, view.y, view.width);
    else world.look(this.walk.middle, 0, view.width*1.6);
  }

  place(event) { // Of the pointer, in world units, while the walker is changed
    this.look();
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left)*this.canvas.width/box.width;
    const y = (event.clientY - box.top)*this.canvas.height/box.height;
    const {scale} = this.world;
    return [this.view.x + (x - this.canvas.width/2)/scale, this.view.y + (0.82*this.canvas.height - y)/scale];
  }

  take(event) { // The joint under the pointer, or choose the muscle
    if (!this.building) return;
    const at = this.place(event);
    const near = 22/this.world.scale;
    const {joints, muscles} = this.walker;
    const gaps = joints.map(([x, y]) => Math.hypot(x - at[0], y - at[1]));
    const closest = gaps.indexOf(Math.min(...gaps));
    if (gaps[closest] < near) {
      this.dragged = closest;
      this.canvas.setPointerCapture(event.pointerId);
      return;
    }
    const away = muscles.map(([a, b]) => distance(at, joints[a], joints[b]));
    if (Math.min(...away) < near) this.choose(away.indexOf(Math.min(...away)));
  }

  drag(event) { // A joint, not onto another one
    if (this.dragged < 0) return;
    const to = this.place(event).map(v => Math.min(Math.max(v, -60), 60));
    const others = this.walker.joints.filter((_, i) => i != this.dragged);
    if (others.some(([x, y]) => Math.hypot(x - to[0], y - to[1]) <= 0.1)) return;
    this.walker.joints[this.dragged] = to;
    this.start();
  }

  leave() { this.dragged = -1; }

  frame(now) {
    requestAnimationFrame(next => this.frame(next));
    if (!this.still) this.go(now);
    this.draw();
  }

  go(now) { // The steps that are due, at most six; long after the last one, start again
    this.clock ??= now;
    for (let k = 0; k < 6 && this.clock <= now && !this.ended; k++) {
      this.walk.walk();
      this.clock += 1000*this.config.dt;
    }
    if (this.clock < now - 2000) this.start();
    else if (!this.ended) this.clock = Math.max(this.clock, now - 1000);
  }

  draw() {
    const {world, walker} = this;
    const p = this.still ? walker.joints : this.walk.p;
    this.look();
    world.clear();
    if (this.still) this.drawFloor();
    else this.drawGround();
    walker.muscles.forEach((muscle, k) => this.drawMuscle(muscle, this.still && k == this.muscle, p));
    world.joints(p, Math.max(this.config.joint_radius*world.scale, this.still ? 9 : 4));
    this.root.querySelector('.told').textContent = this.fault || this.told();
    this.canvas.setAttribute('aria-label', `A walker with ${p.length} joints; terrain: ${this.terrain.name}`);
  }

  told() {
    if (this.still) return 'muscles off';
    return `${this.walk.seconds.toFixed(1)} s: ${this.walk.distance.toFixed(1)} units`;
  }

  drawFloor() { // Under a walker that is being changed
    const y = Math.min(...column(this.walker.joints, 1)) - this.config.joint_radius;
    this.world.line([[this.view.x - 1e3, y], [this.view.x + 1e3, y]], this.world.colors.ground, 3);
  }

  drawGround() {
    const {world} = this;
    const thickness = 2*this.config.ground_radius*world.scale;
    for (const line of this.walk.lines) world.line(line, world.colors.ground, thickness);
    world.posts(this.canvas.width/2/world.scale, x => heightAt(x, this.terrain.lines[0]));
  }

  drawMuscle([a, b, amplitude], chosen, p) {
    const {world} = this;
    if (chosen) world.line([p[a], p[b]], '#f6d55c', 12);
    world.line([p[a], p[b]], amplitude ? world.colors.swing : world.colors.fixed, 4);
  }
}

function playLive(root, data) {
  const player = new LivePlayer(root, data);
  player.load();
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) player.build(true);
  requestAnimationFrame(now => player.frame(now));
  root.dataset.ready = Object.keys(data.walkers).length;
}
