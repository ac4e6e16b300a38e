/**
 * Names come from files of other people. What a terminal would obey in them (escape sequences, line breaks, marks that turn the order of
 * the text around) is shown as the escape that JSON has for it.
 */

/** C0, DEL and C1, line and paragraph separators, and the marks of bidirectional text. */
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const SHORT: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

function toEscape(character: string): string {
  return SHORT.get(character) ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A name, or any text that stands on one line: `a\u001b[31m\nb`. */
export function visible(text: string): string {
  return text.replace(CONTROLS, toEscape);
}

/** The same for text of several lines. */
export function visibleLines(text: string): string {
  return text.replace(CONTROLS, (character) => (character === '\n' ? character : toEscape(character)));
}
