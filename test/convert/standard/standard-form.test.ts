import { describe, expect, it } from 'vitest';
import { trustingTypes } from '../../../src/convert/standard/standard-form.ts';
import { BnnError } from '../../../src/errors.ts';

describe('declared types that contradict the operators', () => {
  const failingWith = (error: Error) => (trusts: boolean) => {
    if (trusts) throw error;
    return 'without';
  };

  it('are done without', () => {
    expect(trustingTypes(failingWith(new BnnError('E_SHAPE', 'they contradict')))).toBe('without');
  });

  it.each([new TypeError('x is undefined'), new Error('internal: lost'), new BnnError('E_FORMAT', 'no model')])(
    'are not the cause of %s',
    (error) => {
      expect(() => trustingTypes(failingWith(error))).toThrow(error);
    },
  );
});
