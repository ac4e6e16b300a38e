/** The page that `bnn web --train` writes: starts the training in a worker, draws it, and gives the file. Plain JavaScript. */

import { bytesAsText, part, say, sentences, show, showGuesses, showPairs } from '../parts.js';
import { drawChart } from './chart.js';

/** Points of a curve that are drawn. */
const DRAWN = 240;
/** Of batches, for a line that can be read. */
const SMOOTH = 0.95;
/** Sides of the pad, and how thick it draws, in pixels of its own. */
const PAD = { size: 280, pen: 22 };

let worker = null;
let facts = null;
let threads = 1;
let isTraining = false;
let curves = null;
let session = null;
let fileUrl = null;
let stepsSeen = 0;

const percent = (share) => `${(100 * share).toFixed(2)} %`;
const count = (number) => number.toLocaleString('en-US');

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function setRunning(isRunning) {
  isTraining = isRunning;
  const hadFocus = document.activeElement === part(isRunning ? 'start' : 'stop');
  part('start').disabled = isRunning;
  part('stop').disabled = !isRunning;
  for (const id of ['epochs', 'lr', 'pictures']) part(id).disabled = isRunning;
  // Whoever works with the keyboard goes on where the next key is.
  if (hadFocus) part(isRunning ? 'stop' : 'start').focus();
}

/** A new point, or one in place of the last where there are many. */
function addPoint(points, x, y) {
  const least = curves.epochs / DRAWN;
  const before = points.at(-2);
  if (before !== undefined && points.at(-1)[0] - before[0] < least) points.pop();
  points.push([x, y]);
}

function draw() {
  curves.isDrawn = true;
  const { epochs, loss, accuracy, test } = curves;
  drawChart(part('accuracy'), {
    label: `Accuracy in the course of ${epochs} epochs`,
    ...{ epochs, most: 1, format: (value) => `${Math.round(100 * value)} %` },
    lines: { training: accuracy, test },
  });
  const last = test.at(-1);
  part('top1').textContent = last === undefined ? '' : percent(last[1]);
  drawChart(part('loss'), {
    label: `Loss in the course of ${epochs} epochs`,
    ...{ epochs, most: undefined, format: (value) => String(value) },
    lines: { training: loss },
  });
}

/** At most once for each picture of the screen. */
function drawSoon() {
  if (!curves.isDrawn) return;
  curves.isDrawn = false;
  requestAnimationFrame(draw);
}

function onStep({ epoch, step, steps, loss, accuracy, seconds, images }) {
  const at = epoch + (step + 1) / steps;
  stepsSeen++;
  // The mean of all so far at first, of the last ones later.
  const keep = Math.min(SMOOTH, 1 - 1 / stepsSeen);
  curves.mean = curves.mean.map((mean, i) => keep * mean + (1 - keep) * [loss, accuracy][i]);
  addPoint(curves.loss, at, curves.mean[0]);
  addPoint(curves.accuracy, at, curves.mean[1]);
  drawSoon();
  part('progress').value = at / curves.epochs;
  const left = (seconds / at) * (curves.epochs - at);
  curves.rate = images / seconds;
  curves.seconds = seconds;
  showPairs([['Epoch', `${epoch + 1} of ${curves.epochs}`], rateFact(), ['Left', duration(left)]]);
}

function rateFact() {
  const rate = count(Math.round(curves.rate));
  return ['Pictures a second', `${rate} on ${threads} thread${threads === 1 ? '' : 's'}`];
}

function onEpoch({ epoch, top1 }) {
  curves.test.push([epoch, top1]);
  drawSoon();
  part('status').textContent =
    `${percent(top1)} of the ${count(facts.pictures.test)} test pictures after ${Number(epoch.toFixed(2))} epoch${epoch === 1 ? '' : 's'}.`;
}

async function onDone({ isStopped, top1, model, floatBytes }) {
  setRunning(false);
  if (!isStopped) part('progress').value = 1;
  showPairs([['Trained for', duration(curves.seconds)], rateFact()]);
  URL.revokeObjectURL(fileUrl);
  fileUrl = URL.createObjectURL(new Blob([model], { type: 'application/octet-stream' }));
  part('download').href = fileUrl;
  part('download').textContent = `Download model.onnx, ${bytesAsText(model.length)}`;
  part('summary').textContent =
    `It tells ${percent(top1)} of the ${count(facts.pictures.test)} test pictures right${isStopped ? ', stopped early' : ''}, and takes ${bytesAsText(model.length)}: ${(floatBytes / model.length).toFixed(1)} times less than with float weights.`;
  show('result', true);
  clearPad();
  await load(model);
}

/** The exported file in the runtime for browsers, as any page would run it. */
async function load(model) {
  const { createSession } = await import('./bnn-web.js');
  await session?.dispose();
  session = await createSession(model);
}

const REPLIES = {
  loading: ({ bytes }) => {
    if (part('problem').hidden) part('about').textContent = `Loading the pictures: ${bytesAsText(bytes)} …`;
  },
  ready: (reply) => {
    ({ facts, threads } = reply);
    const { recipe, pictures, classes } = facts;
    part('about').textContent =
      `A network whose binary layers have one bit for each weight learns ${classes.length} classes from ${count(pictures.train)} pictures, in this browser.`;
    Object.assign(part('epochs'), { value: recipe.epochs });
    Object.assign(part('lr'), { value: recipe.lr });
    Object.assign(part('pictures'), { value: pictures.train, max: pictures.train });
    setRunning(false);
    showPairs([
      ['Network', recipe.model],
      ['Threads', threads === 1 && !crossOriginIsolated ? '1: the page is not cross-origin isolated' : String(threads)],
    ]);
  },
  step: onStep,
  epoch: onEpoch,
  done: (reply) => onDone(reply).catch(onFault),
  picture: (reply) => onPicture(reply).catch(onFault),
  problem: (reply) => {
    if (facts !== null) setRunning(false);
    else part('about').textContent = 'Nothing can be trained here.';
    say(sentences(reply));
  },
};

function onFault(error) {
  say(sentences(error instanceof Error ? error : { message: String(error) }));
}

function train() {
  const [epochs, lr, pictures] = ['epochs', 'lr', 'pictures'].map((id) => part(id).valueAsNumber);
  say();
  show('result', false);
  stepsSeen = 0;
  curves = { epochs, loss: [], accuracy: [], test: [], mean: [0, 0], rate: 0, seconds: 0, isDrawn: true };
  part('status').textContent = 'Training …';
  part('progress').value = 0;
  draw();
  setRunning(true);
  worker.postMessage({ type: 'start', epochs, lr, pictures });
}

function stop() {
  if (!isTraining) return;
  part('status').textContent = 'Stopping: one more look at the test pictures …';
  part('stop').disabled = true;
  worker.postMessage({ type: 'stop' });
}

function clearPad() {
  const context = part('pad').getContext('2d');
  context.fillStyle = '#000';
  context.fillRect(0, 0, PAD.size, PAD.size);
  part('classes').replaceChildren();
}

/** What the network says of grey pixels of its size. */
async function classify(pixels) {
  if (session === null) return [];
  const { width, height } = facts;
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) data.set([pixels[i], pixels[i], pixels[i], 255], 4 * i);
  const guesses = await session.classify({ data, width, height }, { top: 3 });
  showGuesses(guesses);
  return guesses;
}

async function onPicture({ pixels, label }) {
  const { width, height } = facts;
  const small = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (const [i, value] of pixels.entries()) image.data.set([value, value, value, 255], 4 * i);
  small.getContext('2d').putImageData(image, 0, 0);
  const context = part('pad').getContext('2d');
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, PAD.size, PAD.size);
  const [best] = await classify(pixels);
  part('trial').textContent = `A test picture of the class ${label}: ${best?.name === label ? 'right' : 'wrong'}.`;
}

/** The drawing as MNIST has its digits: in a box of 20 of 28 pixels, its centre of mass in the middle. */
function drawnPixels() {
  const { width, height } = facts;
  const whole = part('pad').getContext('2d').getImageData(0, 0, PAD.size, PAD.size).data;
  let [left, top, right, bottom, mass, sumX, sumY] = [PAD.size, PAD.size, 0, 0, 0, 0, 0];
  for (let y = 0; y < PAD.size; y++) {
    for (let x = 0; x < PAD.size; x++) {
      const value = whole[4 * (y * PAD.size + x)];
      if (value === 0) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      [mass, sumX, sumY] = [mass + value, sumX + value * x, sumY + value * y];
    }
  }
  if (mass === 0) return null;
  const scale = (20 / 28) * (width / Math.max(right - left + 1, bottom - top + 1));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  const [x, y] = [width / 2 - (sumX / mass) * scale, height / 2 - (sumY / mass) * scale];
  context.drawImage(part('pad'), x, y, PAD.size * scale, PAD.size * scale);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]);
}

function startStroke(event) {
  const pad = part('pad');
  const context = pad.getContext('2d');
  pad.setPointerCapture(event.pointerId);
  const at = ({ offsetX, offsetY }) => [
    (offsetX * PAD.size) / pad.clientWidth,
    (offsetY * PAD.size) / pad.clientHeight,
  ];
  Object.assign(context, { strokeStyle: '#fff', lineWidth: PAD.pen, lineCap: 'round', lineJoin: 'round' });
  context.beginPath();
  context.moveTo(...at(event));
  const move = (next) => {
    context.lineTo(...at(next));
    context.stroke();
  };
  move(event);
  const end = () => {
    pad.removeEventListener('pointermove', move);
    const pixels = drawnPixels();
    part('trial').textContent = 'What the network says of your drawing.';
    if (pixels !== null) classify(pixels).catch(onFault);
  };
  pad.addEventListener('pointermove', move);
  pad.addEventListener('pointerup', end, { once: true });
  pad.addEventListener('pointercancel', end, { once: true });
}

part('form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!isTraining && facts !== null) train();
});
part('stop').addEventListener('click', stop);
addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') stop();
});
part('pad').addEventListener('pointerdown', startStroke);
part('clear').addEventListener('click', clearPad);
addEventListener('resize', drawSoon);
part('sample').addEventListener('click', () => {
  worker.postMessage({ type: 'picture', index: Math.floor(Math.random() * facts.pictures.test) });
});

curves = { epochs: 1, loss: [], accuracy: [], test: [], mean: [0, 0], rate: 0, seconds: 0, isDrawn: true };
draw();
worker = new Worker('worker.js');
worker.onmessage = ({ data }) => REPLIES[data.type](data);
worker.onerror = (event) => {
  event.preventDefault();
  REPLIES.problem({ message: `the training does not start: ${event.message ?? 'worker.js is missing'}` });
};
