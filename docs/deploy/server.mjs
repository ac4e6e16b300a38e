// A picture in, its classes out as JSON (npm install bnn-toolchain):
//   node server.mjs MODEL.onnx [PORT] [HOST]
//   curl --data-binary @cat.jpg 'http://127.0.0.1:8080/?top=3'
// GET /health says whether it is up. bnn-server.service beside this file runs it under systemd.
import { createServer } from 'node:http';
import { BnnError, classify, openSession } from 'bnn-toolchain';

const [model, port = '8080', host = '127.0.0.1'] = process.argv.slice(2);
if (model === undefined) {
  console.error('usage: node server.mjs MODEL.onnx [PORT] [HOST]');
  process.exit(2);
}
const MOST_BYTES = 32 * 2 ** 20;
/** Pictures in work at a time; further requests are told to come back. */
const MOST_AT_ONCE = 64;
let working = 0;

const session = await openSession(model);
const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const answer = (status, body, headers = {}) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(`${JSON.stringify(body)}\n`);
  if (request.method === 'GET' && url.pathname === '/health') return answer(200, { model, inputs: session.inputs });
  if (request.method !== 'POST') return answer(405, { error: 'POST a picture' }, { allow: 'POST' });
  const top = Number(url.searchParams.get('top') ?? 5);
  if (!(Number.isInteger(top) && top > 0)) return answer(400, { error: 'top is no whole number above 0' });
  if (working >= MOST_AT_ONCE) return answer(503, { error: 'busy' }, { 'retry-after': '1' });
  working++;
  try {
    const parts = [];
    let size = 0;
    for await (const part of request) {
      size += part.length;
      if (size > MOST_BYTES) return answer(413, { error: `at most ${MOST_BYTES} bytes` }, { connection: 'close' });
      parts.push(part);
    }
    answer(200, { classes: await classify(session, new Uint8Array(Buffer.concat(parts)), { top }) });
  } catch (error) {
    const isPicture = error instanceof BnnError && error.code === 'E_FORMAT';
    if (!isPicture) console.error(error);
    if (!response.headersSent) answer(isPicture ? 400 : 500, { error: isPicture ? error.message : 'failed' });
  } finally {
    working--;
  }
});
server.listen(Number(port), host, () => console.log(`listening on http://${host}:${server.address().port}`));

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    // Requests under way are answered first.
    server.close(() => session.dispose());
    server.closeIdleConnections();
  });
}
