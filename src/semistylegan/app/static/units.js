// A factor in the units of its user: value <-> level, steps, and words. The same arithmetic as factors/factor.py.

const between = (low, x, high) => Math.min(high, Math.max(low, x));

/** A power of ten, or half of one, that cuts a range into 100 to 500 steps. */
function fineStep(range) {
  const ten = 10 ** Math.floor(Math.log10(range / 100) + 1e-9);
  return 5 * ten <= range / 100 ? 5 * ten : ten;
}

export class Factor {
  constructor(entry) {
    Object.assign(this, entry);
    this.isClass = this.kind === "categorical";
    this.isRound = this.kind === "circular";
    if (this.isClass) {
      this.size = this.categories.length;
      return;
    }
    this.range = this.high - this.low;
    this.step = fineStep(this.range);
    if (this.grid) {
      const gap = Math.min(...this.grid.slice(1).map((value, i) => value - this.grid[i]));
      this.step = Math.min(this.step, fineStep(gap * 20));
    }
    this.digits = Math.max(0, -Math.floor(Math.log10(this.step) + 1e-9));
    // Up to three digits more where they show every value of the grid as it is: 12.5 of 0, 12.5, 25, ...
    const places = this.ticks.map((level) => this.#at(level));
    this.digits += [0, 1, 2, 3].find((more) => places.every((v) => Math.abs(v - v.toFixed(this.digits + more)) < 1e-9 * this.range)) ?? 0;
    this.places = this.grid ?? places.map((v) => Number(v.toFixed(this.digits)));
  }

  /** Level -> value, with all its digits. */
  #at(level) {
    if (!this.grid) return this.low + level * this.range;
    const place = between(0, level, 1) * (this.size - 1);
    const before = Math.min(Math.floor(place), this.size - 2);
    return this.grid[before] + (place - before) * (this.grid[before + 1] - this.grid[before]);
  }

  /** Level (scalar 0 to 1, circular part of a turn, class number) -> value in own units, rounded to the finest step. */
  valueOf(level) {
    if (this.isClass) return this.categories[between(0, Math.round(level), this.size - 1)];
    return this.round(this.#at(this.isRound ? level - Math.floor(level) : level));
  }

  /** The nearest value of the grid, or the one so many places on, with all its digits; the value where there is no grid. */
  exact(value, places = 0) {
    if (this.isClass || !this.size) return value;
    const last = this.isRound ? this.size : this.size - 1;
    const place = Math.round(this.levelOf(value) * last) + places;
    const level = (this.isRound ? (place + this.size) % this.size : between(0, place, last)) / Math.max(1, last);
    return Number(this.#at(level).toPrecision(12));
  }

  levelOf(value) {
    if (this.isClass) return this.categories.indexOf(value);
    if (this.isRound) return (((value - this.low) / this.range) % 1 + 1) % 1;
    if (!this.grid) return between(0, (value - this.low) / this.range, 1);
    const after = between(1, this.grid.findIndex((g) => g >= value - 1e-9 * this.range), this.size - 1);
    const [a, b] = [this.grid[after - 1], this.grid[after]];
    return (after - 1 + between(0, (value - a) / (b - a), 1)) / (this.size - 1);
  }

  /** To the finest step, within the range; the upper end of a circle is its lower one. */
  round(value) {
    if (this.isClass) return value;
    const near = this.places.find((place) => Math.abs(place - value) < this.step / 2);
    if (near !== undefined) return near;
    const rounded = between(this.low, Number((Math.round(value / this.step) * this.step).toFixed(this.digits)), this.high);
    return this.isRound && rounded >= this.high ? this.low : rounded;
  }

  /**
   * What someone typed -> value, or null where it does not fit. An end may be typed as it is shown, rounded. A comma is a
   * point, but 1,000 does not fit where it may be a thousand.
   */
  parse(text) {
    if (/,\d{3}\b/.test(text) && Math.max(-this.low, this.high) >= 1000) return null;
    const number = Number(text.trim().replace("\u2212", "-").replace(",", ".").replace(this.unit ?? "", ""));
    const within = between(this.low, number, this.high);
    const fits = text.trim() !== "" && Math.abs(number - within) <= 0.5 * 10 ** -this.digits * (1 + 1e-9);
    return fits ? (this.isRound && within === this.high ? this.low : within) : null;
  }

  /** A value without its unit, always with as many digits: "ring", "0.210"; of a circle what rounds to its end is its beginning. */
  number(value) {
    if (this.isClass) return value;
    const near = Number(value).toFixed(this.digits);
    const text = this.isRound && value < this.high && Number(near) >= this.high ? this.low.toFixed(this.digits) : near;
    return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
  }

  /** With its unit and no more zeros than needed: "210°", "3.5 m". */
  show(value) {
    if (this.isClass) return value;
    const number = this.digits ? this.number(value).replace(/\.?0+$/, "") : this.number(value);
    if (!this.unit) return number;
    return number + (this.unit === "°" || this.unit === "%" ? "" : " ") + this.unit;
  }

  get span() {
    return this.isClass ? this.categories.join(", ") : `${this.show(this.low)} to ${this.show(this.high)}`;
  }

  /** The levels of its grid; none where any value occurs, or too many to be seen. */
  get ticks() {
    if (this.isClass || !this.size || this.size > 60) return [];
    return Array.from({ length: this.size }, (_, i) => (this.isRound ? i / this.size : i / Math.max(1, this.size - 1)));
  }

  /** Values that show all of the factor, `most` of them or fewer; of more classes than that, some around a value. */
  samples(most, value) {
    if (this.isClass) {
      const half = Math.floor(most / 2); // the same ones for so many values, so that they rarely move
      const start = Math.floor(this.levelOf(value) / half) * half - Math.floor(half / 2);
      return this.categories.slice(between(0, start, Math.max(0, this.size - most))).slice(0, most);
    }
    const ticks = this.ticks;
    let levels;
    if (ticks.length && ticks.length <= most) levels = ticks;
    else if (this.isRound) {
      let count = most;
      while (ticks.length && ticks.length % count && count > most / 2) count--;
      levels = Array.from({ length: count }, (_, i) => i / count);
    } else {
      const even = Array.from({ length: most }, (_, i) => i / (most - 1));
      levels = ticks.length ? even.map((u) => ticks[Math.round(u * (ticks.length - 1))]) : even;
    }
    return levels.map((u) => this.valueOf(u));
  }

  /** How far two values lie apart, 0 to 1. */
  distance(a, b) {
    if (this.isClass) return a === b ? 0 : 1;
    const away = Math.abs(this.levelOf(a) - this.levelOf(b));
    return this.isRound ? 2 * Math.min(away, 1 - away) : away;
  }

  /** Which of the values is nearest; of classes the one that it is, -1 where it is none of them. */
  nearest(values, value) {
    if (this.isClass) return values.indexOf(value);
    return values.reduce((best, v, i) => (this.distance(v, value) < this.distance(values[best], value) ? i : best), 0);
  }

  /** The next value up or down: a class, a place of the grid, or a fine step. */
  next(value, direction, fine = false) {
    if (this.isClass) return this.categories[between(0, this.levelOf(value) + direction, this.size - 1)];
    if (fine) return this.#moved(value, direction * this.step);
    const ticks = this.ticks.length > 1 ? this.ticks : Array.from({ length: this.isRound ? 40 : 41 }, (_, i) => i / 40);
    const level = this.levelOf(value);
    const slack = this.step / this.range;
    const beyond = ticks.filter((u) => (direction > 0 ? u > level + slack : u < level - slack));
    if (beyond.length) return this.valueOf(direction > 0 ? beyond[0] : beyond.at(-1));
    if (this.isRound) return this.valueOf(direction > 0 ? ticks[0] : ticks.at(-1));
    return direction > 0 ? this.high : this.low;
  }

  /** The first and the last value; the last one of a circle is the one before a whole turn. */
  get ends() {
    if (this.isClass) return [this.categories[0], this.categories.at(-1)];
    if (this.ticks.length) return [this.valueOf(this.ticks[0]), this.valueOf(this.ticks.at(-1))];
    return [this.low, this.isRound ? this.#moved(this.low, -this.step) : this.high];
  }

  #moved(value, by) {
    if (!this.isRound) return this.round(value + by);
    return this.valueOf(this.levelOf(value) + by / this.range);
  }

  /** A level that is dragged to: near a place of the grid it is that place. */
  snap(level) {
    const ticks = this.ticks;
    if (ticks.length < 2 || ticks.length > 24) return level;
    const near = ticks.find((u) => Math.abs(u - level) < 0.2 / ticks.length / 2);
    return near ?? level;
  }
}
