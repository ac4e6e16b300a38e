/** Entry point of the worker thread that makes batches ahead of their use; `batch-thread.ts` is the other end. */

import { parentPort, workerData } from 'node:worker_threads';
import { bufferOf, createBatchMaker } from './batch-maker.ts';
import { type Request, type Response, toErrorMessage, type WorkerInput } from './batch-messages.ts';
import { SpareArrays } from './spare-arrays.ts';

const port = parentPort;
if (port === null) throw new Error('internal: batch-worker.ts runs only as a worker thread');

const { split, options } = workerData as WorkerInput;
const maker = createBatchMaker(split, options);
let queue: Extract<Request, { kind: 'make' }>[] = [];
/** While the last pictures of a batch are decoded, the first ones of the next fill the gaps. */
const BATCHES_AT_ONCE = split.kind === 'files' ? 2 : 1;
let working = 0;
/** Arrays that came back. */
const spare = new SpareArrays();

port.on('message', (request: Request) => {
  if (request.kind === 'cancel') {
    queue = queue.filter(({ stream }) => stream !== request.stream);
    return;
  }
  if (request.kind === 'recycle') {
    spare.add(request.buffer);
    return;
  }
  queue.push(request);
  if (working < BATCHES_AT_ONCE) void work();
});

async function work(): Promise<void> {
  working++;
  for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
    const { id, epoch, index } = request;
    try {
      const batch = await maker.make(epoch, index, (bytes) => spare.take(bytes));
      send({ kind: 'batch', id, batch }, [bufferOf(batch), batch.labels.buffer, batch.indices.buffer]);
    } catch (error) {
      send({ kind: 'error', id, error: toErrorMessage(error) }, []);
    }
    // Lets a cancellation in before the next batch is begun.
    await new Promise(setImmediate);
  }
  working--;
}

function send(response: Response, transfer: readonly ArrayBufferLike[]): void {
  port?.postMessage(
    response,
    transfer.filter((buffer) => buffer instanceof ArrayBuffer),
  );
}
