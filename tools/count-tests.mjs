/** Prints `N passed, N failed, N skipped` from the test runner's report, as the last line of CI. */

import { existsSync, readFileSync } from 'node:fs';

const report = new URL('../build/test-results.json', import.meta.url);
if (!existsSync(report)) {
  console.log('no test was run: a step before the tests failed, see above');
  console.log('0 passed, 1 failed, 0 skipped');
  process.exit(1);
}
const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numFailedTestSuites } = JSON.parse(
  readFileSync(report, 'utf8'),
);
// A file that cannot be loaded fails without any test of it failing.
const failed = numFailedTests === 0 ? numFailedTestSuites : numFailedTests;
console.log(`${numPassedTests} passed, ${failed} failed, ${numPendingTests + numTodoTests} skipped`);
process.exit(failed === 0 && numPassedTests > 0 ? 0 : 1);
