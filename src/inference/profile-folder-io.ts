/** Where onnxruntime writes the profile of a session's first run. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Placement, parsePlacement } from './placement.ts';

/** A folder for the profile of one session. */
export class ProfileFolder {
  readonly #path = mkdtempSync(join(tmpdir(), 'bnn-profile-'));

  /** What the path of the profile begins with. */
  get prefix(): string {
    return join(this.#path, 'run');
  }

  /** Reads the profile that onnxruntime has written, and removes the folder. */
  take(): Placement {
    return parsePlacement(this.takeText());
  }

  takeText(): string {
    const [name] = readdirSync(this.#path);
    if (name === undefined) throw new Error('internal: onnxruntime wrote no profile');
    const text = readFileSync(join(this.#path, name), 'utf8');
    this.remove();
    return text;
  }

  remove(): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}
