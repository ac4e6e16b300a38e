import { expect, it } from 'vitest';
import { parseCores, shareOfCores } from '../../src/distributed/share-cores.ts';

it.each([
  ['0-3', [0, 1, 2, 3]],
  ['5', [5]],
  ['0-1,4,8-9', [0, 1, 4, 8, 9]],
])('parses %s', (list, cores) => {
  expect(parseCores(list)).toEqual(cores);
});

const set = (list: string): ReadonlySet<string> => new Set(parseCores(list).map(String));

it.each([
  ['not bound: the cores are divided', '0-7', ['0-7', '0-7'], 4],
  ['bound: each has its own', '0-3', ['0-3', '4-7'], 4],
  ['more processes than cores: one thread each', '0-1', ['0-1', '0-1', '0-1'], 1],
  ['thirds add up', '0-5', ['0-5', '0-5', '0-5'], 2],
  ['partly shared', '0-3', ['0-3', '2-5'], 3],
])('%s', (_, own, all, threads) => {
  expect(shareOfCores([...set(own)], all.map(set))).toBe(threads);
});
