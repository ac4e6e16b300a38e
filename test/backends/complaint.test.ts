import { expect, it } from 'vitest';
import { complaint } from '../../src/backends/run-program-io.ts';

it.each([
  ['a.cc:3: note\na.cc:4: error: no such type\nmake: 1 error\n', 'a.cc:4: error: no such type'],
  ['  throw x;\n  ^\n\nSomething odd\n\nNode.js v20.20.2\n', 'Something odd'],
  ['', 'no message'],
])('of %j the line that says what went wrong', (text, expected) => expect(complaint(text, /error/i)).toBe(expected));
