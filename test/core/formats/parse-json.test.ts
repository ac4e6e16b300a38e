import { expect, test } from 'vitest';
import { parseJsonObject } from '../../../src/core/formats/parse-json.ts';

test('an object', () => expect(parseJsonObject(' {"a": [1]}\n')).toEqual({ a: [1] }));

test.each([
  ['', 'the file is empty, expected a JSON object', 'f'],
  [' \n', 'the file is empty, expected a JSON object', 'f'],
  ['[]', 'found a list, expected a JSON object', 'f'],
  ['null', 'found null, expected a JSON object', 'f'],
  ['3', 'found a number, expected a JSON object', 'f'],
  ['\u0008\u0001onnx', 'this is a binary file, expected JSON', 'f'],
  ['{\n  "a": 1,\n}', expect.stringMatching(/^not JSON: [^\n]+$/), 'f:3:1'],
  ['hello\nworld', expect.stringMatching(/^not JSON: [^\n]+$/), expect.stringMatching(/^f/)],
])('%j', (text, message, at) => {
  expect(() => parseJsonObject(text, 'f')).toThrow(expect.objectContaining({ code: 'E_FORMAT', message, at }) as Error);
});
