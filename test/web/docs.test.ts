/** What docs/web.md says of the engine. */

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { OPERATORS } from '../../src/engine/operator-table.ts';
import { BNN_RULES } from '../../src/operators/registry.ts';

const page = readFileSync(new URL('../../docs/web.md', import.meta.url), 'utf8');

it('lists the operators that the engine has', () => {
  const [, list = ''] = /The operators are\n([\s\S]*?)and all of the domain `bnn`\./.exec(page) ?? [];
  const listed = [...list.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
  const standard = [...OPERATORS.keys()].filter((name) => !name.startsWith('bnn.'));
  expect(listed).toEqual(standard.sort());
  expect([...BNN_RULES.keys()].filter((name) => !OPERATORS.has(name))).toEqual([]);
});
