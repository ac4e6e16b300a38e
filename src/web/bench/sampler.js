/** Times what may take less than the clock can tell, from samples of so many runs that it can. */

/** A browser's clock tells 0.005 ms apart in an isolated page; a sample takes about so long, and half of it at least. */
const LEAST_MS = 0.5;

/** One sample says little: a processor that did other work for a moment makes a short run look long. */
const TRIES = 3;

/** Milliseconds of a run, sample by sample; each is the mean of `count` runs. */
export class Sampler {
  #run;
  #now;
  count = 1;

  /** @param run is awaited; @param now tells milliseconds. */
  constructor(run, now = () => performance.now()) {
    this.#run = run;
    this.#now = now;
  }

  /** Finds how many runs make a sample, and gives the milliseconds of one such sample. */
  async calibrate() {
    for (;;) {
      let shortest = Number.POSITIVE_INFINITY;
      for (let i = 0; i < TRIES; i++) shortest = Math.min(shortest, await this.#elapsed());
      if (shortest >= LEAST_MS) return shortest;
      this.count *= 2;
    }
  }

  /** So many samples; where one comes out too short all the same, of more runs from there on, and all anew. */
  async take(samples) {
    let times = [];
    while (times.length < samples) {
      const elapsed = await this.#elapsed();
      if (elapsed < LEAST_MS / 2) {
        this.count *= 2;
        times = [];
      } else {
        times.push(elapsed / this.count);
      }
    }
    return times;
  }

  async #elapsed() {
    const begin = this.#now();
    for (let i = 0; i < this.count; i++) await this.#run();
    return this.#now() - begin;
  }
}
