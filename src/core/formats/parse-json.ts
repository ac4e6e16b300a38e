/** JSON that people write: recipes, mappings. */

import { BnnError } from '../../errors.ts';

/**
 * Parses the text of a file that should hold one JSON object.
 *
 * @param at  the file; an error adds line and column where they are known.
 * @throws {BnnError} E_FORMAT.
 */
export function parseJsonObject(text: string, at?: string): Record<string, unknown> {
  if (text.trim() === '') throw new BnnError('E_FORMAT', 'the file is empty, expected a JSON object', { at });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notJson(text, at, cause instanceof Error ? cause.message : String(cause));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`;
    throw new BnnError('E_FORMAT', `found ${found}, expected a JSON object`, {
      at,
      hint: 'the file starts with { and ends with }',
    });
  }
  return value as Record<string, unknown>;
}

function notJson(text: string, at: string | undefined, message: string): BnnError {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what tells binary files from text.
  if (/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text)) {
    return new BnnError('E_FORMAT', 'this is a binary file, expected JSON', { at, hint: 'check the path' });
  }
  const position = Number(/at position (\d+)/.exec(message)?.[1] ?? Number.NaN);
  const before = text.slice(0, position).split('\n');
  const where = Number.isNaN(position) ? '' : `:${before.length}:${(before.at(-1) ?? '').length + 1}`;
  // V8 quotes the text around the mistake, line breaks and all.
  const reason = message.replace(/ (in JSON )?at position .*$/s, '').replaceAll(/\s+/g, ' ');
  return new BnnError('E_FORMAT', `not JSON: ${reason}`, {
    at: at === undefined ? undefined : at + where,
    hint: 'JSON has double quotes around names and texts, commas between entries but none after the last, and no comments',
  });
}
