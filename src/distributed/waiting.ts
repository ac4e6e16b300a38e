/** What waiting was for: others that had not come so far, or numbers on their way. */

import type { OperationTimes } from './communicator.ts';

export interface Waiting {
  /** Milliseconds that the process waited for others to begin. */
  readonly forOthersMs: number;
  /** Milliseconds that it waited for numbers, when all had begun. */
  readonly forNumbersMs: number;
  /** Milliseconds in which numbers were on their way to it. */
  readonly trafficMs: number;
}

/**
 * Of each process. An operation's numbers are on their way from when the last process has begun it until they are here.
 *
 * @param times  of each process, the same operations in the same order.
 * @param hosts  the machine of each process: those of one machine have one clock.
 */
export function splitWaiting(times: readonly (readonly OperationTimes[])[], hosts: readonly string[]): Waiting[] {
  const [first = []] = times;
  if (times.some((list) => list.length !== first.length))
    throw new Error('internal: operations that not all have made');
  const ahead = times.map((list, rank) =>
    hosts[rank] === hosts[0] || list.length === 0 ? 0 : clockAhead(list, first),
  );
  const ready = first.map((_, k) => Math.max(...times.map((list, rank) => (list[k]?.begun ?? 0) - (ahead[rank] ?? 0))));
  return times.map((list, rank) => {
    let [forOthersMs, forNumbersMs, trafficMs] = [0, 0, 0];
    let until = Number.NEGATIVE_INFINITY;
    for (const [k, { waited, done, ended }] of list.entries()) {
      const begin = (ready[k] ?? 0) + (ahead[rank] ?? 0);
      const end = Math.max(begin, waited < done ? ended : done);
      // Operations overlap; each moment counts once.
      trafficMs += Math.max(0, end - Math.max(begin, until));
      until = Math.max(until, end);
      const others = Math.min(ended, Math.max(waited, begin)) - waited;
      forOthersMs += others;
      // What was there already is not waited for, even where the process got its turn late.
      if (waited < done) forNumbersMs += ended - waited - others;
    }
    return { forOthersMs, forNumbersMs, trafficMs };
  });
}

/**
 * How far the clock of one machine is ahead of another's. Nothing ends anywhere before all have begun it, which bounds the difference from
 * both sides; the middle is exact where numbers take as long one way as the other, as NTP assumes (RFC 5905, section 8).
 */
function clockAhead(these: readonly OperationTimes[], first: readonly OperationTimes[]): number {
  const least = these.map(({ begun }, k) => begun - (first[k]?.done ?? 0));
  const most = these.map(({ done }, k) => done - (first[k]?.begun ?? 0));
  return (Math.max(...least) + Math.min(...most)) / 2;
}
