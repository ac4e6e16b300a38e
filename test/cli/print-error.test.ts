import { afterEach, expect, test, vi } from 'vitest';
import { printError } from '../../src/cli/print-error.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { BnnError } from '../../src/errors.ts';

function capture(error: unknown, options: { json?: boolean; verbose?: boolean } = {}) {
  const text = { out: '', err: '' };
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text.out += String(chunk);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text.err += String(chunk);
    return true;
  });
  const code = printError(error, 'bnn-export', new Terminal({ ...options, color: 'never' }));
  return { code, ...text };
}
afterEach(() => vi.restoreAllMocks());

const context = { at: 'm.onnx > node "c"', hint: 'pass --keep-float c' };

test('a mistake of the user: what, where, what to do', () => {
  expect(capture(new BnnError('E_UNSUPPORTED', 'Conv has group=3', context))).toEqual({
    code: 1,
    out: '',
    err: 'error[E_UNSUPPORTED] bnn-export: Conv has group=3\n  at m.onnx > node "c"\n  hint: pass --keep-float c\n',
  });
  expect(capture(new BnnError('E_USAGE', 'no'))).toEqual({ code: 2, out: '', err: 'error[E_USAGE] bnn-export: no\n' });
});

test('--verbose adds the cause', () => {
  const error = new BnnError('E_IO', 'cannot write', { cause: new Error('ENOSPC') });
  expect(capture(error).err).not.toContain('ENOSPC');
  expect(capture(error, { verbose: true }).err).toMatch(/\n {2}cause: Error: ENOSPC\n/);
});

test('a bug: the stack, and where to go with it', () => {
  const { code, out, err } = capture(new Error('internal: lost'), { json: true });
  expect(code).toBe(1);
  expect(JSON.parse(out)).toEqual({
    event: 'error',
    version: 1,
    code: 'E_INTERNAL',
    message: 'internal: lost',
    at: null,
    hint: null,
  });
  expect(err).toMatch(/^error\[E_INTERNAL\] bnn-export: Error: internal: lost\n {4}at [\s\S]*please report/);
});

test('names in an error reach the terminal without their control characters, and JSON as they are', () => {
  const name = 'w\u001b]0;title\u0007\r\nerror[E_IO] forged\u202e\u009b1m';
  const error = new BnnError('E_FORMAT', `bad ${name}`, { at: name, hint: name, cause: new Error(name) });
  const { out, err } = capture(error, { json: true, verbose: true });
  expect(err).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  expect(err.split('\n').slice(0, 3)).toEqual([
    String.raw`error[E_FORMAT] bnn-export: bad w\u001b]0;title\u0007\r\nerror[E_IO] forged\u202e\u009b1m`,
    String.raw`  at w\u001b]0;title\u0007\r\nerror[E_IO] forged\u202e\u009b1m`,
    String.raw`  hint: w\u001b]0;title\u0007\r\nerror[E_IO] forged\u202e\u009b1m`,
  ]);
  expect(JSON.parse(out)).toMatchObject({ message: `bad ${name}`, at: name });
});

test('colours are sent, the same characters in a name are not', () => {
  const terminal = new Terminal({ color: 'always' });
  let text = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  terminal.warn('\u001b[33mforged\u001b[39m');
  expect(text).toBe('\u001b[33mwarning\u001b[39m: \\u001b[33mforged\\u001b[39m\n');
});
