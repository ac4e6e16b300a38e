/** Node tests that are known not to pass, and why. */

const EXCEPTIONS: readonly (readonly [check: string, tests: RegExp, reason: string])[] = [
  [
    'folding',
    /^test_bitshift_(left|right)_(int\d+|uint64)/,
    'shifts are folded for unsigned integers of up to 32 bits',
  ],
  ['folding', /^test_clip_default_(int8_)?(inbounds|max)$/, 'a node is folded when all its inputs are there'],
  ['folding', /^test_(de)?quantizelinear_blocked/, 'scales of blocks are not folded'],
  ['folding', /^test_(max|min|sum)_(example|one_input)$/, 'these are folded for two operands'],
  ['folding', /^test_(max|min)_float16$|^test_mod_.*float16/, 'half precision is not folded'],
  [
    'folding',
    /^test_reduce_(l1|l2|max|min|prod|sum|sum_square)_empty_set(_bool|_non_reduced_axis_zero)?$/,
    'nothing is folded to nothing',
  ],
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
