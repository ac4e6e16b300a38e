/** Options that would do nothing are errors: who gives one believes that it does something. */

import { BnnError } from '../errors.ts';

/**
 * Refuses options that were given and do nothing.
 *
 * @param mode  in what they do nothing: `--form latent`.
 * @param given by name, whether it was given (and does nothing).
 * @param hint  what makes them do something.
 * @throws {BnnError} E_USAGE that names all of them.
 */
export function refuseUnused(
  mode: string,
  given: Readonly<Record<string, boolean>>,
  hint = 'leave one of them out',
): void {
  const unused = Object.keys(given).filter((name) => given[name]);
  if (unused.length === 0) return;
  throw new BnnError('E_USAGE', `${listOf(unused)} ${unused.length > 1 ? 'do' : 'does'} nothing with ${mode}`, {
    hint,
  });
}

function listOf(names: readonly string[]): string {
  const [last = '', ...others] = names.toReversed();
  return others.length === 0 ? last : `${others.toReversed().join(', ')} and ${last}`;
}
