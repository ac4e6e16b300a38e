import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classify } from '../src/inference/classify.ts';
import { openSession } from '../src/inference/open-session.ts';
import { smallModel, somePixels } from './web/browser.ts';

/** docs/deploy/server.mjs, under the load of many pictures at once. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const missing = existsSync(join(ROOT, 'dist/index.js')) ? '' : ' (skipped: dist is not built: npm run build)';
const folder = mkdtempSync(join(tmpdir(), 'bnn-server-'));
const model = join(folder, 'model.onnx');
let server: ChildProcess;
let url: string;

describe.skipIf(missing !== '')(`the server${missing}`, () => {
  const pictures: Buffer[] = [];
  const post = (body: Uint8Array<ArrayBuffer> | string, query = '') =>
    fetch(`${url}${query}`, { method: 'POST', body });

  beforeAll(async () => {
    writeFileSync(model, smallModel());
    for (let i = 0; i < 5; i++) {
      const { data } = somePixels(60 + i, 40, i);
      const picture = sharp(data, { raw: { width: 60 + i, height: 40, channels: 4 } })
        .removeAlpha()
        .jpeg();
      pictures.push(await picture.toBuffer());
    }
    server = spawn(process.execPath, [join(ROOT, 'docs/deploy/server.mjs'), model, '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(server.stdout!, 'data')) as [Buffer];
    url = /http:\S+/.exec(String(line))![0];
  }, 60_000);
  afterAll(() => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('answers four hundred pictures, forty at a time, each with its own classes', async () => {
    const session = await openSession(model);
    const expected = await Promise.all(pictures.map((bytes) => classify(session, new Uint8Array(bytes), { top: 2 })));
    await session.dispose();
    let next = 0;
    const lane = async () => {
      while (next < 400) {
        const i = next++ % pictures.length;
        const response = await post(new Uint8Array(pictures[i]!), '/?top=2');
        expect(response.status).toBe(200);
        expect(await response.json()).toEqual({ classes: expected[i] });
      }
    };
    await Promise.all(Array.from({ length: 40 }, lane));
  }, 60_000);

  it('says what is wrong with a request, and goes on', async () => {
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await fetch(url)).status).toBe(405);
    const broken = await post('no picture');
    expect([broken.status, await broken.json()]).toEqual([400, { error: expect.stringContaining('cannot decode') }]);
    expect((await post(new Uint8Array(pictures[0]!), '/?top=none')).status).toBe(400);
    expect((await post(new Uint8Array(33 * 2 ** 20)).catch(() => ({ status: 413 }))).status).toBe(413);
    expect((await post(new Uint8Array(pictures[0]!))).status).toBe(200);
  });

  it('ends when it is told to', async () => {
    server.kill('SIGTERM');
    expect(await once(server, 'exit')).toEqual([0, null]);
  });
});
