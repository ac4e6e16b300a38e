import fc from 'fast-check';

/**
 * Property tests draw the same cases on every machine, so that a red run is red again. BNN_TEST_SEED=N draws others: a failure
 * names its case, which belongs into the test as an example.
 */
const seed = process.env['BNN_TEST_SEED'] ?? '1';
if (!/^\d+$/.test(seed)) throw new Error(`BNN_TEST_SEED is '${seed}', expected a whole number`);
fc.configureGlobal({ seed: Number(seed) });
