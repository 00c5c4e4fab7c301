// What is known of the balancer: the whole, which the stream sends first, and what has
// changed, once a second. See board.go for the messages.

const NONE = [0, 0, 0, 0]; // a slot in which nothing ended

// slot is requests, failures, mean and 99th percentile in milliseconds; null: not known.
const slot = (raw) => (raw === 0 ? NONE : raw ?? null);

const series = (raw, slots) => {
  const out = (raw ?? []).map(slot);
  while (out.length < slots) out.unshift(null);
  return out;
};

export class Model {
  constructor() {
    this.known = false;
  }

  // now is the balancer's clock, in milliseconds since 1970.
  now() {
    return performance.now() + this.ahead;
  }

  // recent is the part of a series that charts show: all of it, or less while the balancer
  // is younger than that.
  recent(slots) {
    const first = this.total.findIndex((s) => s);
    const known = first < 0 ? 0 : this.slots - first;
    return slots.slice(-Math.min(this.slots, [24, 60, 120].find((n) => known <= n) ?? this.slots));
  }

  // silent is for how long nothing has come, in milliseconds.
  silent() {
    return this.known ? performance.now() - this.heardAt : 0;
  }

  state(m) {
    this.known = true;
    this.take(m);
    Object.assign(this, { build: m.build, slotMs: m.slotMs, slots: m.slots, routes: m.routes, endpoints: m.endpoints });
    this.incidents = m.incidents ?? [];
    this.setPools(m.pools);
    this.total = series(m.history.total, m.slots);
    this.routeSeries = m.history.routes.map((s) => series(s, m.slots));
    this.endpointSeries = m.history.endpoints.map((s) => series(s, m.slots));
    this.poolSeries = this.pools.map((p) => Array.from({ length: m.slots }, (_, i) => this.sum(p, i)));
    this.slotCount = (this.slotCount ?? 0) + 1;
  }

  tick(m) {
    this.take(m);
    for (const { i, row } of m.endpoints ?? []) this.endpoints[i] = row;
    for (const { i, row } of m.pools ?? []) Object.assign(this.pools[i], row);
    if (m.incidents) this.hear(m.incidents);
    if (m.slot) {
      const push = (s, raw) => {
        s.push(slot(raw));
        s.shift();
      };
      push(this.total, m.slot.total);
      this.routeSeries.forEach((s, i) => push(s, m.slot.routes[i]));
      this.endpointSeries.forEach((s, i) => push(s, m.slot.endpoints[i]));
      this.poolSeries.forEach((s, i) => {
        s.push(this.sum(this.pools[i], this.slots - 1));
        s.shift();
      });
      this.slotCount++;
    }
  }

  take(m) {
    this.heardAt = performance.now();
    this.follow(m.now - this.heardAt);
    this.head = { now: m.now, condition: m.condition, requestsInFlight: m.requestsInFlight, connections: m.connections };
    this.inFlight = m.inFlight;
    for (const part of ["policy", "sessions", "problems"]) if (m[part]) this[part] = m[part];
  }

  // follow takes a message's word for how far the balancer's clock is ahead of the page's. A
  // message that is late says too little: the one that was quickest is believed, lest a
  // countdown go back. What drifts is followed slowly, and what leaps at once.
  follow(ahead) {
    const leap = !(Math.abs(ahead - this.ahead) < 5000);
    this.ahead = leap ? ahead : Math.max(ahead, this.ahead - 1);
  }

  hear(incidents) {
    const newest = this.incidents.at(-1)?.n ?? 0;
    this.incidents.push(...incidents.filter((i) => i.n > newest));
    this.incidents.splice(0, this.incidents.length - 600);
  }

  setPools(pools) {
    let first = 0;
    this.pools = pools.map((p) => {
      const out = { ...p, first };
      first += p.size;
      return out;
    });
  }

  // sum is one slot of all endpoints of a pool; the 99th percentile is that of the worst.
  sum(pool, at) {
    let known = false;
    const out = [0, 0, 0, 0];
    for (let i = pool.first; i < pool.first + pool.size; i++) {
      const s = this.endpointSeries[i][at];
      if (!s) continue;
      known = true;
      out[0] += s[0];
      out[1] += s[1];
      out[2] += s[0] * s[2];
      out[3] = Math.max(out[3], s[3]);
    }
    if (!known) return null;
    if (out[0]) out[2] /= out[0];
    return out;
  }

  pool(name) {
    return this.pools.find((p) => p.name === name);
  }

  // indices are those of a pool's endpoints.
  indices(pool) {
    return Array.from({ length: pool.size }, (_, i) => pool.first + i);
  }
}

// sums is requests a second, share of failures, and 99th percentile, of the last n slots.
export const sums = (slots, n, slotMs) => {
  let requests = 0, failed = 0, p99 = null, known = 0;
  for (const s of slots.slice(-n)) {
    if (!s) continue;
    known++;
    requests += s[0];
    failed += s[1];
    if (s[0]) p99 = Math.max(p99 ?? 0, s[3]);
  }
  return { known, requests, failed, p99, rate: known ? (1000 * requests) / (known * slotMs) : 0, failing: requests ? failed / requests : 0 };
};

// What an endpoint's state is, in one word and one letter; the worst first.
export const states = {
  open: { letter: "O", word: "breaker open", rank: 0 },
  "half-open": { letter: "H", word: "breaker half-open", rank: 1 },
  unhealthy: { letter: "U", word: "unhealthy", rank: 2 },
  draining: { letter: "D", word: "draining", rank: 3 },
  idle: { letter: "–", word: "not eligible", rank: 4 },
  fine: { letter: "", word: "eligible", rank: 5 },
};

export const stateOf = (e) => {
  if (e.draining) return "draining";
  if (e.breaker !== "closed") return e.breaker;
  if (!e.healthy) return "unhealthy";
  return e.eligible ? "fine" : "idle";
};
