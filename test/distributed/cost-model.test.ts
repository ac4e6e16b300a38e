/** The model of the cost, against a message-by-message walk through the schedules of `native/mpi/schedule.h`. */

import { describe, expect, it } from 'vitest';
import { type Link, picturesThatPay, stepCost, sumSeconds } from '../../src/distributed/cost-model.ts';

const LINK: Link = { latencySeconds: 1e-3, bytesPerSecond: 1e8 };

const message = (bytes: number): number => (bytes >= 65_536 ? 3e-3 : 1e-3) + bytes / 1e8;

/** Rounds of a sum, in bytes that each process sends. */
function roundsOf(bytes: number, machines: number): number[] {
  const powers = 2 ** Math.floor(Math.log2(machines));
  const rounds: number[] = [];
  if (machines > powers && bytes / machines >= 16_384) {
    for (let k = 0; k < 2 * (machines - 1); k++) rounds.push(bytes / machines);
    return rounds;
  }
  if (machines > powers) rounds.push(bytes);
  if (bytes <= 32_768 || powers <= 2) {
    for (let mask = 1; mask < powers; mask *= 2) rounds.push(bytes);
  } else {
    let held = bytes;
    for (let mask = 1; mask < powers; mask *= 2) {
      held /= 2;
      rounds.push(held);
    }
    rounds.push(...rounds.slice(-Math.log2(powers)).reverse());
  }
  if (machines > powers) rounds.push(bytes);
  return rounds;
}

describe('sumSeconds', () => {
  const cases = [2, 3, 4, 6, 8, 12, 64].flatMap((machines) =>
    [8, 4096, 2 ** 16, 2 ** 20, 2 ** 25].map((bytes) => [bytes, machines]),
  );
  it.each(cases as [number, number][])('%i bytes on %i machines', (bytes, machines) => {
    const seconds = roundsOf(bytes, machines).reduce((sum, each) => sum + message(each), 0);
    expect(sumSeconds(bytes, machines, LINK)).toBeCloseTo(seconds, 9);
  });

  it('costs nothing alone', () => {
    expect(sumSeconds(1e6, 1, LINK)).toBe(0);
  });
});

describe('stepCost', () => {
  const network = { floats: 1e6, norms: 10, normChannels: 500, imagesPerSecond: 100, backwardShare: 0.75 };

  it('hides all but the last bucket behind a long backward pass', () => {
    const { waitSeconds, efficiency, computeSeconds } = stepCost(network, 1000, 4, LINK);
    expect(waitSeconds).toBeCloseTo(sumSeconds(2 ** 18, 4, LINK), 9);
    expect(efficiency).toBeCloseTo(computeSeconds / (computeSeconds + waitSeconds), 12);
  });

  it('waits for what a short backward pass does not hide', () => {
    const { waitSeconds } = stepCost(network, 1, 4, LINK);
    expect(waitSeconds).toBeCloseTo(sumSeconds(4e6, 4, LINK) - 0.0075, 9);
  });

  it('waits twice in each normalization over the whole batch', () => {
    const own = stepCost(network, 1000, 2, LINK).waitSeconds;
    const shared = stepCost(network, 1000, 2, LINK, true).waitSeconds;
    expect(shared - own).toBeCloseTo(20 * message(16 * 50), 9);
  });

  it('finds the smallest batch that pays', () => {
    const pictures = picturesThatPay(network, 4, LINK, 0.9) ?? 0;
    expect(stepCost(network, pictures, 4, LINK).efficiency).toBeGreaterThanOrEqual(0.9);
    expect(stepCost(network, pictures / 2, 4, LINK).efficiency).toBeLessThan(0.9);
  });
});
