import { expect, test } from 'vitest';
import { visible, visibleLines } from '../../src/report/visible-text.ts';

/** Everything that ECMA-48 lets a terminal obey, and what Unicode lets reorder or break a line. */
const CONTROLS = [
  ...Array.from({ length: 0x20 }, (_, code) => code),
  ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i),
  ...[0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069],
];

test('every control character is shown as its JSON escape', () => {
  for (const code of CONTROLS) {
    const character = String.fromCharCode(code);
    const shown = visible(`a${character}b`);
    expect(shown).toMatch(/^a\\[a-z0-9]+b$/);
    expect(JSON.parse(`"${shown}"`)).toBe(`a${character}b`);
    if (character !== '\n') expect(visibleLines(character)).toBe(visible(character));
  }
  expect(visibleLines('a\nb\r')).toBe('a\nb\\r');
});

test('other text stays: letters of any script, signs, pictures', () => {
  const text = 'conv1/Größe ×3 重み שלום 😀 \u00a0 \ufeff "quoted" \\n';
  expect(visible(text)).toBe(text);
  expect(visibleLines(text)).toBe(text);
});
