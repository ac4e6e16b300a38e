/** Node tests that are known not to pass, and why. */

const EXCEPTIONS: readonly (readonly [check: string, tests: RegExp, reason: string])[] = [
  ['training', /^test_(averagepool|maxpool)_[13]d_/, 'the trainer pools pictures only'],
  ['training', /^test_(averagepool|maxpool)_2d_dilations/, 'tfjs has no gradient of pooling with dilations'],
  ['training', /^test_batchnorm_.*_training_mode$/, 'the check evaluates, with running statistics'],
  ['training', /^test_slice_start_out_of_bounds$/, 'a tensor without elements is not trained'],
  ['training', /^test_training_dropout_?(default|mask)?(_mask)?$/, 'the masks come from another generator'],
];

/** The reason why a test is known not to pass. */
export function exceptionFor(check: string, test: string): string | undefined {
  return EXCEPTIONS.find(([of, tests]) => of === check && tests.test(test))?.[2];
}
