/** A turn for the event loop of Node or of a browser. */

interface Port {
  onmessage: (() => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** Node has both, browsers the second. */
const { setImmediate, MessageChannel } = globalThis as unknown as {
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly MessageChannel: new () => { readonly port1: Port; readonly port2: Port };
};

/** Ends when what waited in the event loop has run: signals, messages, timers. */
export function nextTurn(): Promise<void> {
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    // Unlike a timer, a message is not held back by a browser.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
