import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { downloadFile } from '../../../src/data/files/download.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const CONTENT = Buffer.from('the data set');
const CHECKSUM = { algorithm: 'sha256', hex: createHash('sha256').update(CONTENT).digest('hex') } as const;
const OPTIONS = { checksum: CHECKSUM, sizeBytes: CONTENT.length, attempts: 1, pauseMs: 1 };

let server: Server;
let proxy: Server;
/** Where the proxy was asked to connect to. */
let asked: string[];
const portOf = (it: Server) => (it.address() as AddressInfo).port;
const listening = (it: Server) => new Promise<void>((resolve) => it.listen(0, '127.0.0.1', () => resolve()));

beforeEach(async () => {
  asked = [];
  server = createServer((_, response) => response.end(CONTENT));
  await listening(server);
  proxy = createServer();
  // Whatever the name, it leads to the one server; port 443 is refused.
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    if (request.url?.endsWith(':443')) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const target = connect(portOf(server), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    target.on('error', () => socket.destroy());
    socket.on('error', () => target.destroy());
  });
  await listening(proxy);
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy'])
    vi.stubEnv(name, '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  for (const one of [server, proxy]) {
    one.closeAllConnections();
    one.close();
  }
});

it('goes through HTTP_PROXY to a host that only the proxy knows', async () => {
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${portOf(proxy)}`);
  const path = join(await temporaryFolder(), 'data.tar');
  await downloadFile('http://data.invalid/data.tar', path, OPTIONS);
  expect(await readFile(path)).toEqual(CONTENT);
  expect(asked).toEqual(['data.invalid:80']);
});

it('asks HTTPS_PROXY for what is encrypted', async () => {
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${portOf(proxy)}`);
  const path = join(await temporaryFolder(), 'data.tar');
  await expect(downloadFile('https://data.invalid/data.tar', path, OPTIONS)).rejects.toMatchObject({
    code: 'E_IO',
    hint: expect.stringContaining('HTTPS_PROXY'),
  });
  expect(asked).toEqual(['data.invalid:443']);
});

it('goes past the proxy to the hosts of NO_PROXY', async () => {
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${portOf(proxy)}`);
  vi.stubEnv('NO_PROXY', '127.0.0.1');
  const path = join(await temporaryFolder(), 'data.tar');
  await downloadFile(`http://127.0.0.1:${portOf(server)}/data.tar`, path, OPTIONS);
  expect(await readFile(path)).toEqual(CONTENT);
  expect(asked).toEqual([]);
});
