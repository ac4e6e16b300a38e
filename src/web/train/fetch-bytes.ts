/** Files beside the page. */

import { BnnError } from '../../errors.ts';

/** @throws {BnnError} E_NOT_FOUND when it is not there, E_IO when it does not come. */
export async function fetchBytes(name: string): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(name);
  } catch (cause) {
    throw new BnnError('E_IO', 'the file does not come', { at: name, hint: 'is the server still there?', cause });
  }
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  throw new BnnError('E_NOT_FOUND', `a file of the page is not there: HTTP ${response.status}`, {
    at: name,
    hint: 'copy all files of the folder to the server',
  });
}
