/** `child TARGET SEED FROM COUNT`: puts mutated inputs to a reader; says on stdout which it is at and what went wrong. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '../../src/core/numbers/rng.ts';
import { BnnError } from '../../src/errors.ts';
import { mutate } from './mutate.ts';
import { openTarget } from './targets.ts';

const [name = '', seed, from, count] = process.argv.slice(2);
const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
let current = Number(from);
const report = (error: unknown): void => {
  say({ at: current, fault: error instanceof Error ? (error.stack ?? error.message) : String(error) });
};
process.on('unhandledRejection', report);
process.on('uncaughtException', report);

const folder = await mkdtemp(join(tmpdir(), 'bnn-fuzz-'));
const target = await openTarget(name);
try {
  for (const seed of target.seeds) await target.read(seed, folder);
  for (; current < Number(count); current++) {
    say({ at: current });
    const rng = new Rng(Number(seed), current);
    const valid = target.seeds[rng.below(target.seeds.length)] ?? new Uint8Array();
    try {
      await target.read(mutate(valid, rng, target.seeds), folder);
    } catch (error) {
      if (!(error instanceof BnnError)) report(error);
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit(0);
