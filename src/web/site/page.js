/** The page that `bnn web` writes: pictures in, classes out. Plain JavaScript; the runtime beside it does the work. */

import { bytesAsText, part, say, sentences, show, showGuesses, showPairs } from '../parts.js';

/** Which of the two the runtime will ask for: it is fetched beside the runtime. */
const ENGINE = globalThis.crossOriginIsolated ? 'engine-threads.wasm' : 'engine.wasm';
document.head.append(
  Object.assign(document.createElement('link'), {
    rel: 'preload',
    as: 'fetch',
    crossOrigin: 'anonymous',
    href: ENGINE,
  }),
);
const { createSession } = await import('./bnn-web.js');

const MODEL = 'model.onnx';
const TOP = 5;
/** The picture is shown at most so large, in pixels of its longer side. */
const SHOWN = 1024;
/** Times that the median is taken of. */
const TIMES = 15;

let session = null;
let stream = null;
let times = [];
/** Of what was opened last: what is ready later than its successor is not shown. */
let latest = 0;

/** What the browser fetched for this page, as it came over the wire where the browser tells. */
function downloaded() {
  const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  const size = ({ encodedBodySize }) => encodedBodySize;
  const ofModel = entries.filter(({ name }) => name.endsWith('.onnx')).reduce((sum, entry) => sum + size(entry), 0);
  return { total: entries.reduce((sum, entry) => sum + size(entry), 0), model: ofModel };
}

function onThreads() {
  return session.threads > 1 ? ` on ${session.threads} threads` : '';
}

function showFacts() {
  const { total, model } = downloaded();
  const sorted = [...times].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  const facts = [
    ['Time for a picture', median === undefined ? '–' : `${median.toFixed(median < 10 ? 2 : 1)} ms${onThreads()}`],
    ['Network', bytesAsText(model)],
    ['Downloaded in all', bytesAsText(total)],
  ];
  showPairs(facts);
}

/** What went wrong as sentences. */
function explain(error) {
  return sentences({ message: error instanceof Error ? error.message : String(error), hint: error?.hint });
}

/** What the network takes of the picture at its size, for people. */
function showSeen(source) {
  const { width, height, channels } = session.picture;
  const [fullWidth, fullHeight] = sizeOf(source);
  const { width: resizedWidth, height: resizedHeight, cutAfter, pad } = session.framing(fullWidth, fullHeight);
  const canvas = Object.assign(part('input'), { width, height });
  const context = canvas.getContext('2d');
  context.fillRect(0, 0, width, height);
  context.filter = channels === 1 ? 'grayscale(1)' : 'none';
  context.imageSmoothingQuality = 'high';
  const [left, top] = [(pad?.left ?? 0) - (cutAfter?.left ?? 0), (pad?.top ?? 0) - (cutAfter?.top ?? 0)];
  context.drawImage(source, left, top, resizedWidth, resizedHeight);
  part('caption').textContent =
    `What the network sees: ${width}\u00a0×\u00a0${height} pixels${channels === 1 ? ', grey' : ''}`;
  show('seen', true);
}

function sizeOf(source) {
  return [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
}

async function classify(source) {
  const begin = performance.now();
  const guesses = await session.classify(source, { top: TOP });
  times = [...times, performance.now() - begin].slice(-TIMES);
  show('hint', false);
  showGuesses(guesses);
  showSeen(source);
  showFacts();
}

function showPicture(bitmap) {
  const scale = Math.min(1, SHOWN / Math.max(bitmap.width, bitmap.height));
  const canvas = Object.assign(part('picture'), {
    width: Math.max(1, Math.round(bitmap.width * scale)),
    height: Math.max(1, Math.round(bitmap.height * scale)),
  });
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'the picture');
  setStage('picture');
}

/** What the stage shows: the place to drop, a picture, or the camera. */
function setStage(shown) {
  const hadFocus = document.activeElement === part('file');
  show('picture', shown === 'picture');
  show('video', shown === 'video');
  show('another', shown !== 'drop');
  part('stage').classList.toggle('filled', shown !== 'drop');
  // Sixty results a second are not read out.
  part('classes').setAttribute('aria-live', shown === 'video' ? 'off' : 'polite');
  if (hadFocus && shown !== 'drop') part('another').focus();
}

async function open(file) {
  stopCamera();
  say();
  const turn = ++latest;
  try {
    if (/\.onnx$/i.test(file.name)) await load(new Uint8Array(await file.arrayBuffer()), file.name);
    else if (session === null) say('There is no network to look at the picture with: drop a model (.onnx).');
    else await openPicture(file, turn);
  } catch (error) {
    say(explain(error));
  }
}

async function openPicture(file, turn) {
  let bitmap;
  try {
    // As the picture is stored: training ignores colour profiles, too.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  } catch {
    if (turn === latest) say(`“${file.name}” is no picture that this browser can show.`);
    return;
  }
  if (turn === latest) {
    showPicture(bitmap);
    await classify(bitmap);
  }
  bitmap.close();
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  if (stream !== null) setStage('drop');
  stream = null;
  part('video').srcObject = null;
  part('camera').textContent = 'Use the camera';
}

async function startCamera() {
  say();
  latest++;
  if (navigator.mediaDevices === undefined) {
    say('This page may not use the camera: browsers allow it on https and on localhost only.');
    return;
  }
  part('camera').disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  } catch (error) {
    const reasons = {
      NotAllowedError: 'it was not allowed',
      NotFoundError: 'there is none',
      NotReadableError: 'something else uses it',
    };
    say(`The camera cannot be used: ${reasons[error.name] ?? error.message}. A file works as well.`);
    return;
  } finally {
    part('camera').disabled = false;
  }
  const video = part('video');
  video.srcObject = stream;
  setStage('video');
  part('camera').textContent = 'Stop the camera';
  try {
    await video.play();
    while (stream !== null) {
      if (video.videoWidth > 0) await classify(video);
      await new Promise(requestAnimationFrame);
    }
  } catch (error) {
    if (stream === null) return;
    stopCamera();
    say(explain(error));
  }
}

/** Replaces the network; the one before stays when the new one cannot be loaded. */
async function load(model, name) {
  const loaded = await createSession(model, { at: name });
  const { picture } = loaded;
  const count = loaded.classes.length;
  await session?.dispose();
  session = loaded;
  times = [];
  part('title').textContent = name === MODEL ? document.title : name;
  part('about').textContent =
    `Tells ${count} classes apart, from pictures of ${picture.width}\u00a0×\u00a0${picture.height} pixels; its weights have one bit.`;
  part('classes').replaceChildren();
  show('hint', true);
  show('seen', false);
  setStage('drop');
  for (const id of ['file', 'camera']) part(id).disabled = false;
  showFacts();
}

part('file').addEventListener('change', ({ target }) => {
  const [file] = target.files;
  if (file !== undefined) open(file);
  target.value = '';
});
part('camera').addEventListener('click', () => (stream === null ? startCamera() : stopCamera()));
part('another').addEventListener('click', () => part('file').click());
addEventListener('paste', ({ clipboardData }) => {
  const [file] = clipboardData?.files ?? [];
  if (file !== undefined) open(file);
});
for (const type of ['dragenter', 'dragover']) {
  addEventListener(type, (event) => {
    event.preventDefault();
    part('stage').classList.add('over');
  });
}
for (const type of ['dragleave', 'drop']) addEventListener(type, () => part('stage').classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file === undefined) say('That is no file. Save the picture first, and drop the file.');
  else open(file);
});

try {
  await load(MODEL, MODEL);
} catch (error) {
  part('about').textContent = 'No network is loaded.';
  part('file').disabled = false;
  say(explain(error));
}
