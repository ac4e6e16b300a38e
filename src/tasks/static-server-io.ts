/** A web server for this machine alone, with files from memory, gzipped where the browser takes that. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface StaticServer {
  /** `http://127.0.0.1:PORT/`. */
  readonly url: string;
  /** What was sent since this was asked last, in order. */
  takeSent(): readonly { readonly path: string; readonly bytes: number }[];
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** The timers of a page on its own are the finest, and it may use threads. */
const ISOLATION = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/**
 * Serves files by their path without the slash in front; `index.html` is also the folder. The map is looked at on each request.
 *
 * @param isolated  whether pages are isolated from other origins.
 */
export async function serveFiles(
  files: ReadonlyMap<string, Uint8Array>,
  { isolated = false }: { readonly isolated?: boolean } = {},
): Promise<StaticServer> {
  const compressed = new Map<Uint8Array, Uint8Array>();
  const gzipped = (bytes: Uint8Array): Uint8Array => {
    const made = compressed.get(bytes) ?? gzipSync(bytes, { level: 9 });
    compressed.set(bytes, made);
    return made;
  };
  for (const bytes of files.values()) gzipped(bytes);
  let sent: { path: string; bytes: number }[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname.slice(1) || 'index.html';
    const bytes = files.get(path);
    if (bytes === undefined) {
      sent.push({ path, bytes: 0 });
      response.writeHead(404).end();
      return;
    }
    const takesGzip = /\bgzip\b/.test(String(request.headers['accept-encoding']));
    const body = takesGzip ? gzipped(bytes) : bytes;
    sent.push({ path, bytes: body.length });
    response.writeHead(200, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-length': body.length,
      ...(takesGzip ? { 'content-encoding': 'gzip' } : {}),
      ...(isolated ? ISOLATION : {}),
    });
    response.end(body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    takeSent: () => {
      const before = sent;
      sent = [];
      return before;
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
