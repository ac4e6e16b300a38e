/** When a session may be freed: once nothing runs in it any more, and only once. */

import { BnnError } from '../errors.ts';

export class SessionLifetime {
  readonly #at: string;
  readonly #running = new Set<Promise<unknown>>();
  #end: Promise<void> | undefined;

  /** @param at  what messages call the session. */
  constructor(at: string) {
    this.#at = at;
  }

  /** @throws {BnnError} E_BACKEND once the end has begun. */
  assertOpen(): void {
    if (this.#end === undefined) return;
    throw new BnnError('E_BACKEND', 'the session has been disposed of', {
      at: this.#at,
      hint: 'open another one, or dispose of it after its last run',
    });
  }

  /**
   * Runs something during which the session may not be freed.
   *
   * @throws {BnnError} E_BACKEND once the end has begun.
   */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.assertOpen();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Frees the session when what is under way has ended; repeated calls wait for the same end. */
  end(free: () => void | Promise<void>): Promise<void> {
    this.#end ??= Promise.allSettled(this.#running).then(free);
    return this.#end;
  }
}
