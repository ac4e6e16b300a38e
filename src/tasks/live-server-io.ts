/** Serves the curves of a training while it runs, to browsers on this machine alone. */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { BnnError } from '../errors.ts';
import { formatClock, formatPercent, formatSeconds, threeDigits } from '../report/format.ts';
import { type LiveState, type LiveStep, liveCurves, livePage } from '../report/page/live-page.ts';
import { formatNumber } from '../report/plot-lines.ts';
import type { Recipe } from '../training/recipes/recipe.ts';
import { type EpochRecord, readHistory } from '../training/sessions/history-io.ts';
import { curvesOfRun, describeRun } from '../training/sessions/run-curves.ts';
import type { StepProgress, TrainListeners } from '../training/sessions/train-options.ts';

export interface LiveServer {
  /** `http://127.0.0.1:PORT/`. */
  readonly url: string;
  /** What to pass to the training. */
  readonly listeners: Required<Pick<TrainListeners, 'onStart' | 'onStep' | 'onEpoch'>>;
  /** How many browsers show it now. */
  watching(): number;
  /** Says how it ended to who is looking, and stops. */
  close(ending: string): Promise<void>;
}

const ADDRESS = '127.0.0.1';
const STEP_MS = 500;
/** Waiting for a browser that does not read; it gets everything when it connects anew. */
const MOST_WAITING_BYTES = 2 ** 20;
/** Rows of the table on the page. */
const EPOCHS_SHOWN = 25;

const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};

/**
 * Starts the server. It holds neither the process nor the training up.
 *
 * @param port  0 for any that is free.
 * @throws {BnnError} E_USAGE when the port is taken or not allowed.
 */
export async function serveTraining(out: string, recipe: Recipe, port: number): Promise<LiveServer> {
  const feed = new Feed(out, recipe);
  const server = createServer((request, response) => feed.answer(request, response));
  try {
    server.listen(port, ADDRESS);
    await once(server, 'listening');
  } catch (cause) {
    throw new BnnError('E_USAGE', `port ${port} cannot be used: ${cause instanceof Error ? cause.message : cause}`, {
      hint: '--live without a number takes a port that is free',
      cause,
    });
  }
  server.unref();
  const { port: bound } = server.address() as AddressInfo;
  feed.port = bound;
  return {
    url: `http://${ADDRESS}:${bound}/`,
    listeners: feed.listeners,
    watching: () => feed.watching,
    close: async (ending) => {
      feed.end(ending);
      server.close();
      await new Promise((done) => setImmediate(done));
      server.closeAllConnections();
    },
  };
}

class Feed {
  port = 0;
  readonly #out: string;
  readonly #recipe: Recipe;
  readonly #watching = new Set<ServerResponse>();
  #records: readonly EpochRecord[] = [];
  #step: LiveStep | null = null;
  #lastStepMs = Number.NEGATIVE_INFINITY;
  /** Set while the records of a resumed run are read. */
  #ready: Promise<void> = Promise.resolve();

  constructor(out: string, recipe: Recipe) {
    this.#out = out;
    this.#recipe = recipe;
  }

  get watching(): number {
    return this.#watching.size;
  }

  readonly listeners: LiveServer['listeners'] = {
    onStart: ({ from }) => {
      if (from.epoch === 0) return;
      this.#ready = readHistory(join(this.#out, 'history.jsonl')).then(
        (records) => {
          this.#records = records.slice(0, from.epoch);
          this.#sendEpoch();
        },
        // The training itself says what is wrong with it.
        () => {},
      );
    },
    onStep: (progress) => {
      const now = performance.now();
      if (now - this.#lastStepMs < STEP_MS) return;
      this.#lastStepMs = now;
      this.#step = describeStep(progress);
      this.#send('step', this.#step);
    },
    onEpoch: async (record) => {
      await this.#ready;
      this.#records = [...this.#records, record];
      this.#sendEpoch();
    },
  };

  answer(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {});
    // A page of elsewhere whose name was made to lead here still sends its own name.
    const port = this.port === 80 ? '' : `:${this.port}`;
    if (![ADDRESS, 'localhost'].some((name) => request.headers.host === name + port)) {
      refuse(response, 403, 'this server answers to 127.0.0.1 and localhost alone');
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      refuse(response, 405, 'GET only');
    } else {
      const [path] = (request.url ?? '/').split('?');
      const isHead = request.method === 'HEAD';
      if (path === '/') this.#sendPage(response, isHead);
      else if (path === '/events' && !isHead) this.#watch(response);
      else refuse(response, 404, 'there is / and /events');
    }
  }

  end(ending: string): void {
    this.#send('end', ending);
    for (const response of this.#watching) response.end();
    this.#watching.clear();
  }

  #sendPage(response: ServerResponse, isHead: boolean): void {
    const html = livePage(this.#state(), this.#step, randomBytes(16).toString('hex'));
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/html; charset=utf-8' });
    response.end(isHead ? undefined : html);
  }

  #watch(response: ServerResponse): void {
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' });
    this.#watching.add(response);
    response.on('close', () => this.#watching.delete(response));
    response.write(format('epoch', liveCurves(this.#state())));
    if (this.#step !== null) response.write(format('step', this.#step));
  }

  #sendEpoch(): void {
    if (this.#watching.size > 0) this.#send('epoch', liveCurves(this.#state()));
  }

  #send(event: string, data: unknown): void {
    const text = format(event, data);
    for (const response of this.#watching) {
      if (response.writableLength <= MOST_WAITING_BYTES) response.write(text);
      else {
        this.#watching.delete(response);
        response.destroy();
      }
    }
  }

  #state(): LiveState {
    const records = this.#records;
    return {
      title: basename(resolve(this.#out)),
      subtitle: describeRun(this.#recipe, records.length),
      panels: curvesOfRun(records),
      figures: figuresOf(records),
      table: {
        head: ['epoch', 'training loss', 'training', 'held out', 'test', 'learning rate', 'time'],
        rows: records.slice(-EPOCHS_SHOWN).toReversed().map(rowOf),
      },
    };
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...HEADERS, 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

function format(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function describeStep({
  epoch,
  epochs,
  batch,
  batches,
  loss,
  top1,
  imagesPerSecond,
  secondsLeft,
}: StepProgress): LiveStep {
  const parts = [
    `epoch ${epoch} of ${epochs}, step ${batch} of ${batches}`,
    `loss ${formatNumber(loss)}`,
    `accuracy ${formatPercent(top1)}`,
    `${threeDigits(imagesPerSecond)} pictures a second`,
    `${formatClock(secondsLeft)} left`,
  ];
  return { share: batch / batches, text: parts.join('; ') };
}

function figuresOf(records: readonly EpochRecord[]): [string, string][] {
  const last = records.at(-1);
  if (last === undefined) return [];
  const held = last.validationTop1;
  return [
    ['epochs', String(last.epoch)],
    ['test accuracy', formatPercent(last.testTop1)],
    ...(held === null ? [] : [['held-out accuracy', formatPercent(held)] satisfies [string, string]]),
    ['training loss', numberOr(last.trainLoss)],
    ['trained for', formatSeconds(records.reduce((sum, { seconds }) => sum + seconds, 0))],
  ];
}

function rowOf(record: EpochRecord): string[] {
  const { epoch, trainLoss, trainTop1, validationTop1, testTop1, lr, seconds } = record;
  return [
    String(epoch),
    numberOr(trainLoss),
    formatPercent(trainTop1),
    formatPercent(validationTop1),
    formatPercent(testTop1),
    formatNumber(lr),
    formatSeconds(seconds),
  ];
}

function numberOr(value: number | null): string {
  return value !== null && Number.isFinite(value) ? formatNumber(value) : 'not a number';
}
