// The physics of the simulator for a browser: one walker on one terrain. The numbers in `config` are those of
// SimConfig, and step for step the same is done as there. A point, a velocity, a direction is a pair [x, y].

const column = (points, k) => points.map(point => point[k]);

function heightAt(x, line) { // Of the ground; at a wall, the higher side
  let top = -Infinity;
  for (let i = 0; i + 1 < line.length; i++) {
    const [[a, y], [b, z]] = [line[i], line[i+1]];
    if (a > x || x > b) continue;
    top = Math.max(top, a == b ? Math.max(y, z) : y + (z - y)*(x - a)/(b - a));
  }
  return top;
}

function length([ax, ay], [bx, by]) { return Math.hypot(bx - ax, by - ay); }

function rightOf([ax, ay], [bx, by]) { // The direction to the right of the way from a to b
  const dx = bx - ax;
  const dy = by - ay;
  const d = Math.sqrt(dx*dx + dy*dy);
  return [dy/d, -dx/d];
}

function inset(line, radius) { // A line moved by the radius into the solid, which is on its right
  const normals = line.slice(1).map((end, i) => rightOf(line[i], end));
  return line.map(([x, y], i) => {
    const [ax, ay] = normals[Math.max(i - 1, 0)];
    const [bx, by] = normals[Math.min(i, normals.length - 1)];
    const f = 1 + (ax*bx + ay*by);
    return [x + radius*(ax + bx)/f, y + radius*(ay + by)/f];
  });
}

function segments(line) { // From a to b; `back` and `on` lead from either end to the far end of the neighbour
  const way = (from, to) => from && to ? [to[0] - from[0], to[1] - from[1]] : [0, 0];
  return line.slice(1).map((b, i) => ({a: line[i], b, back: way(line[i], line[i-1]), on: way(b, line[i+2])}));
}

function placed(joints, terrain, config) { // Where the joints are at the start: above x = 0, or beside a wall
  const left = (terrain.room[0] ?? -Infinity) + config.joint_radius;
  const right = (terrain.room[1] ?? Infinity) - config.joint_radius;
  const xs = column(joints, 0);
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  if (high - low > right - left) {
    const room = (right - left).toFixed(1);
    throw new RangeError(`too wide for this terrain, where a walker may be ${room} units wide`);
  }
  const bottom = Math.min(...column(joints, 1));
  const centred = joints.map(([x, y]) => [x - (low + high)/2, y - bottom]);
  const first = Math.min(...column(centred, 0));
  const last = Math.max(...column(centred, 0));
  const aside = Math.max(left - first, 0) + Math.min(right - last, 0);
  const inRoom = centred.map(([x, y]) => [x + aside, y]);
  const up = Math.max(...inRoom.map(([x, y]) => heightAt(x, terrain.lines[0]) - y)) + config.joint_radius;
  return inRoom.map(([x, y]) => [x, y + up]);
}

function push(from, to, [nx, ny], amount) { // Change two velocities by the same, in opposite directions
  from[0] -= nx*amount;
  from[1] -= ny*amount;
  to[0] += nx*amount;
  to[1] += ny*amount;
}

class Walk {
  constructor(walker, terrain, config) {
    this.config = config;
    this.muscles = walker.muscles;
    this.lines = terrain.lines.map(line => inset(line, config.ground_radius));
    this.ground = this.lines.flatMap(line => segments(line));
    this.p = placed(walker.joints, terrain, config);
    this.v = this.p.map(() => [0, 0]);
    this.escape = this.p.map(() => [0, 0]); // Velocity for one step only, to get out of the ground
    this.memory = this.p.map(() => Walk.emptySlots());
    this.lengths = this.muscles.map(([a, b]) => length(this.p[a], this.p[b]));
    this.normal = this.muscles.map(() => [0, 0]);
    this.drag = this.muscles.map(() => 0);
    this.rates = Walk.rates(config);
    this.steps = 0;
    this.time = 0; // Steps with swinging muscles
    this.settle();
    this.start = this.middle;
  }

  static emptySlots() { // A joint remembers its last four contacts
    return Array.from({length: 4}, () => ({segment: -1, last: -9, press: 0, grip: 0}));
  }

  static rates(config) { // What is the same in every step
    return {
      damping: config.damping**config.dt,
      bias: (1 - config.collision_bias**config.dt)/config.dt,
      drag: 1 - Math.exp(-config.spring_damping*config.dt*2/config.joint_mass),
    };
  }

  get middle() { return this.p.reduce((sum, q) => sum + q[0], 0)/this.p.length; }
  get distance() { return this.middle - this.start; }
  get seconds() { return this.time*this.config.dt; }

  settle() { // Come to rest, muscles off
    const limit = Math.round(this.config.settle/this.config.dt);
    const check = Math.round(this.config.rest_time/this.config.dt);
    let before = this.p.map(q => [...q]);
    let moved = Infinity;
    while (this.steps < limit && moved >= this.config.rest_distance) {
      this.step(this.lengths);
      if (this.steps % check) continue;
      moved = Math.max(...this.p.flatMap((q, i) => q.map((x, k) => Math.abs(x - before[i][k]))));
      before = this.p.map(q => [...q]);
    }
  }

  walk() { // One step with swinging muscles
    const t = this.time*this.config.dt;
    this.step(this.muscles.map((muscle, e) => this.lengths[e]*this.stretch(muscle, t)));
    this.time++;
  }

  stretch([,, amplitude, phase], t) { // Rest length of a muscle at time t, as a share of its length
    const c = this.config;
    const turn = 2*Math.PI*t/c.period;
    const ramp = Math.min(Math.max(t/c.ramp, 0), 1);
    const wave = ramp*Math.sin(turn)*Math.cos(phase) + ramp*Math.cos(turn)*Math.sin(phase);
    return 1 + c.max_swing*Math.tanh(amplitude/c.amplitude_scale)*wave;
  }

  step(rest) { // One step of the engine; `rest` is the rest length of each muscle
    this.move();
    const contacts = this.touch();
    this.pull(rest);
    this.fall();
    this.recall(contacts);
    for (let k = 0; k < this.config.iterations; k++) {
      for (const contact of contacts) this.press(contact);
      this.damp();
    }
    this.steps++;
  }

  move() {
    this.p.forEach((q, i) => {
      for (const k of [0, 1]) {
        q[k] += (this.v[i][k] + this.escape[i][k])*this.config.dt;
        this.escape[i][k] = 0;
      }
    });
  }

  touch() { // Where joints touch the ground now
    const contacts = this.p.flatMap((q, i) => this.ground.map((segment, s) => this.contact(i, segment, s)));
    return contacts.filter(contact => contact);
  }

  contact(i, {a, b, back, on}, s) { // Of joint i with segment s, if they touch
    const [x, y] = this.p[i];
    const reach = this.config.joint_radius + this.config.ground_radius;
    if (x < Math.min(a[0], b[0]) - reach || x > Math.max(a[0], b[0]) + reach) return null;
    const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
    const t = Math.min(Math.max((dx*(x - a[0]) + dy*(y - a[1]))/(dx*dx + dy*dy), 0), 1);
    const [gx, gy] = [a[0] + dx*t - x, a[1] + dy*t - y];
    const d = Math.sqrt(gx*gx + gy*gy);
    if (d >= reach || d == 0) return null;
    const [nx, ny] = [gx/d, gy/d];
    const before = t == 0 && nx*back[0] + ny*back[1] < 0; // Past an end, where the neighbour is in charge
    const behind = t == 1 && nx*on[0] + ny*on[1] < 0;
    if (before || behind) return null;
    const overlap = Math.min(d - reach + this.config.collision_slop, 0);
    return {i, nx, ny, bias: -this.rates.bias*overlap, pushed: 0, ...this.remember(i, s)};
  }

  remember(i, s) { // The slot for this contact, with its impulses if it is not older than three steps
    const slots = this.memory[i];
    const oldest = slots.reduce((old, slot) => slot.last < old.last ? slot : old);
    const slot = slots.find(known => known.segment == s) ?? oldest;
    const known = slot.segment == s;
    const ago = this.steps - slot.last;
    if (!known || ago > 3) slot.press = slot.grip = 0;
    slot.segment = s;
    slot.last = this.steps;
    return {slot, lasting: known && ago == 1};
  }

  pull(rest) { // Muscles are springs
    const share = this.config.stiffness*this.config.dt/this.config.joint_mass;
    this.muscles.forEach(([a, b], e) => {
      const [dx, dy] = [this.p[b][0] - this.p[a][0], this.p[b][1] - this.p[a][1]];
      const d = Math.sqrt(dx*dx + dy*dy);
      const f = d > 0 ? 1/d : 0;
      this.normal[e] = [dx*f, dy*f];
      this.drag[e] = 0;
      push(this.v[a], this.v[b], this.normal[e], (rest[e] - d)*share);
    });
  }

  fall() {
    for (const u of this.v) {
      u[0] *= this.rates.damping;
      u[1] = u[1]*this.rates.damping + this.config.gravity*this.config.dt;
    }
  }

  recall(contacts) { // A contact that lasts begins with the impulses of the step before
    for (const {i, slot, nx, ny, lasting} of contacts) {
      if (!lasting) continue;
      this.v[i][0] -= nx*slot.press - ny*slot.grip;
      this.v[i][1] -= nx*slot.grip + ny*slot.press;
    }
  }

  press(contact) { // The ground lets nothing through, and holds by friction what is pressed on it
    this.part(contact);
    const {i, slot, nx, ny} = contact;
    const v = this.v[i];
    const {press, grip} = slot;
    slot.press = Math.max(press + v[0]*nx + v[1]*ny, 0);
    const limit = this.config.friction*this.config.friction*slot.press;
    slot.grip = Math.min(Math.max(grip - v[0]*ny + v[1]*nx, -limit), limit);
    v[0] -= nx*(slot.press - press) - ny*(slot.grip - grip);
    v[1] -= nx*(slot.grip - grip) + ny*(slot.press - press);
  }

  part(contact) { // Undo some of the overlap
    const {i, nx, ny, bias, pushed} = contact;
    const escape = this.escape[i];
    contact.pushed = Math.max(pushed + bias + escape[0]*nx + escape[1]*ny, 0);
    const out = contact.pushed - pushed;
    escape[0] -= nx*out;
    escape[1] -= ny*out;
  }

  damp() { // Springs lose speed along their direction
    this.muscles.forEach(([a, b], e) => {
      const [nx, ny] = this.normal[e];
      const [va, vb] = [this.v[a], this.v[b]];
      const speed = (vb[0] - va[0])*nx + (vb[1] - va[1])*ny;
      const change = (this.drag[e] - speed)*this.rates.drag;
      this.drag[e] = speed + change;
      push(va, vb, this.normal[e], change/2);
    });
  }
}
