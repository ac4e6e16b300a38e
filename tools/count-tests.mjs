/** Prints `N passed, N failed, N skipped` from the test runner's reports, as the last line of CI. */

import { existsSync, readFileSync } from 'node:fs';

const REPORTS = ['test-results.json', 'test-results-slow.json', 'test-results-install.json'];

let [passed, failed, skipped] = [0, 0, 0];
for (const name of REPORTS) {
  const report = new URL(`../build/${name}`, import.meta.url);
  if (!existsSync(report)) {
    console.log(`no report build/${name}: a step before these tests failed, see above`);
    failed++;
    continue;
  }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numFailedTestSuites } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  passed += numPassedTests;
  // A file that cannot be loaded fails without any test of it failing.
  failed += numFailedTests === 0 ? numFailedTestSuites : numFailedTests;
  skipped += numPendingTests + numTodoTests;
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
