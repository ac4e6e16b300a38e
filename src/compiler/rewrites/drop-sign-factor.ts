/** A positive factor before a sign goes. */

import { addOp } from '../../rewriting/add-op.ts';
import { defineRewrite, miss } from '../../rewriting/rewrite.ts';
import type { CompileContext } from '../context.ts';

/** Products with factors in between are rounded to 0 only where a float of 0 would hardly be told from them. */
const LEAST = 2 ** -40;
const MOST = 2 ** 40;

export const DROP_SIGN_FACTOR = defineRewrite({
  name: 'drop-sign-factor',
  doc: {
    before: 'Sign(Mul(x, c)) or Sign(Div(x, c))',
    after: 'Sign(x)',
    requires: 'c constant, all of it from 2⁻⁴⁰ to 2⁴⁰, and does not enlarge x, which is no constant',
    exactness: 'bit-exact but where |x| is below 2⁻⁸⁶, whose product may be rounded to 0',
  },
  roots: ['bnn.Sign'],
  match: (root, context: CompileContext) => {
    const product = root.requiredInput(0).producer;
    if (product === null || !(product.is('Mul') || product.is('Div'))) return miss(root, 'it is not of a product');
    const [first, second] = [product.requiredInput(0), product.requiredInput(1)];
    const isReversed = context.isConstantExpression(first);
    if (isReversed && product.is('Div')) return miss(product, 'it divides a constant');
    const [data, constant] = isReversed ? [second, first] : [first, second];
    if (context.isConstantExpression(data)) return miss(product, 'both operands are constant');
    const factors = context.evaluate(constant);
    if (factors === null) return miss(product, 'neither operand is constant');
    const outOfRange = factors.data.find((c) => !(c >= LEAST && c <= MOST));
    if (outOfRange !== undefined) return miss(product, `its factor ${outOfRange} is not from 2⁻⁴⁰ to 2⁴⁰`);
    const shape = data.shape?.join();
    if (shape === undefined || shape !== product.output.shape?.join()) return miss(product, 'it enlarges its data');
    return { data };
  },
  apply: (root, { data }, context) => addOp(context.graph, 'bnn.Sign', [data], root, { name: root.name }),
});
