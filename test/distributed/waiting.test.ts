import { expect, it } from 'vitest';
import { splitWaiting } from '../../src/distributed/waiting.ts';

const times = (begun: number, waited: number, done: number, ended: number) => ({ begun, waited, done, ended });

it('tells waiting for others from waiting for numbers, by hand', () => {
  // The second process begins 10 ms later; numbers take 4 ms, of which the second computes for 3.
  const first = [times(0, 2, 14, 14)];
  const second = [times(10, 13, 14, 14)];
  expect(splitWaiting([first, second], ['a', 'a'])).toEqual([
    { forOthersMs: 8, forNumbersMs: 4, trafficMs: 4 },
    { forOthersMs: 0, forNumbersMs: 1, trafficMs: 4 },
  ]);
});

it('counts each moment of traffic once, and nothing that was there before anybody asked', () => {
  const both = [times(0, 20, 5, 20), times(3, 20, 8, 20), times(18, 20, 21, 21)];
  expect(splitWaiting([both, both], ['a', 'a'])).toEqual([
    { forOthersMs: 0, forNumbersMs: 1, trafficMs: 8 + 3 },
    { forOthersMs: 0, forNumbersMs: 1, trafficMs: 8 + 3 },
  ]);
});

it('a process that gets its turn late waits for nothing that is there', () => {
  const late = [times(0, 5, 4, 30)];
  expect(splitWaiting([late, [times(0, 0, 4, 4)]], ['a', 'a'])[0]).toEqual({
    forOthersMs: 0,
    forNumbersMs: 0,
    trafficMs: 4,
  });
});

it('clocks of machines may differ', () => {
  // Numbers take 4 ms each way; the second machine is late once, early once.
  const first = [times(0, 2, 14, 14), times(24, 25, 28, 28)];
  const late = [times(10, 13, 13, 13), times(20, 26, 28, 28)];
  const shifted = late.map((time) =>
    times(...(Object.values(time).map((ms) => ms + 1e6) as [number, number, number, number])),
  );
  expect(splitWaiting([first, shifted], ['a', 'b'])).toEqual(splitWaiting([first, late], ['a', 'a']));
});
