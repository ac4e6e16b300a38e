/** Runs the checks over the node tests and compares the verdicts with the known exceptions. */

import { CHECKS, type Verdict } from './checks.ts';
import { exceptionFor } from './exceptions.ts';
import type { NodeTest } from './node-tests.ts';

export interface Finding {
  readonly check: string;
  readonly operator: string;
  readonly test: string;
  readonly verdict: Verdict;
  /** Why it is known not to pass. */
  readonly exception: string | undefined;
}

/** One finding for each test and each check that applies to it. */
export function runChecks(tests: readonly NodeTest[]): Finding[] {
  return CHECKS.flatMap((check) =>
    tests
      .filter((test) => check.applies(test))
      .map((test) => ({
        check: check.name,
        operator: test.node.op,
        test: test.name,
        verdict: check.run(test),
        exception: exceptionFor(check.name, test.name),
      })),
  );
}

/** Findings that differ from what is known: tests that do not pass, and exceptions that do. */
export function surprises(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ check, test, verdict, exception }) => {
    if (verdict.outcome === 'passed')
      return exception === undefined ? [] : [`${check} ${test} passes, its exception can go`];
    return exception === undefined ? [`${check} ${test} ${verdict.outcome}: ${verdict.reason}`] : [];
  });
}
