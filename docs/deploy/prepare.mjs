// What MODEL.json says, done to the pixels of a picture: for Node and browsers alike, without a dependency.

/**
 * @param picture      { width, height, data }: bytes, `channels` (3 or 4) a pixel, red, green and blue first.
 * @param description  MODEL.json, which bnn-export writes beside MODEL.onnx.
 * @returns            { data, dims } of the input: float32, one picture.
 */
export function prepare(picture, description, channels = picture.data.length / (picture.width * picture.height)) {
  const { size, layout, channelOrder, mean, std } = description;
  const { width, height, left, top } = frame(picture, description);
  const resized = resize(picture, channels, width, height);
  const planes = mean.length;
  const pixels = size.width * size.height;
  const data = new Float32Array(planes * pixels);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const [fromX, fromY] = [x - left, y - top];
      const isInside = fromX >= 0 && fromY >= 0 && fromX < width && fromY < height;
      const from = 3 * (fromY * width + fromX);
      // Black around what is padded.
      const [r, g, b] = isInside ? resized.subarray(from, from + 3) : [0, 0, 0];
      const values = channelOrder === 'grey' ? [(19595 * r + 38470 * g + 7471 * b + 32768) >> 16] : [r, g, b];
      const at = y * size.width + x;
      for (const [c, value] of values.entries()) {
        data[layout === 'NCHW' ? c * pixels + at : at * planes + c] = (value / 255 - mean[c]) / std[c];
      }
    }
  }
  return {
    data,
    dims: layout === 'NCHW' ? [1, planes, size.height, size.width] : [1, size.height, size.width, planes],
  };
}

/** The size to resize to, and where the result lies in what the network sees (negative where the middle is cut out). */
function frame({ width, height }, { size, fit, shorterSide }) {
  if (fit === 'squash') return { ...size, left: 0, top: 0 };
  const ratio = fit === 'crop' ? shorterSide / Math.min(size.width, size.height) : 1;
  const [across, down] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
  // Cropped pictures cover the size, padded ones fit into it.
  const byWidth = fit === 'crop' ? width * down <= height * across : width * down >= height * across;
  const newWidth = byWidth ? across : Math.max(1, Math.floor((width * down) / height));
  const newHeight = byWidth ? Math.max(1, Math.floor((height * across) / width)) : down;
  const offset = (room) => (fit === 'pad' ? Math.floor(room / 2) : -roundHalfToEven(-room / 2));
  return {
    width: newWidth,
    height: newHeight,
    left: offset(size.width - newWidth),
    top: offset(size.height - newHeight),
  };
}

function roundHalfToEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/** A triangle filter, antialiased; rounded to bytes after each direction, as Pillow does. */
function resize({ width, height, data }, channels, newWidth, newHeight) {
  const across = taps(width, newWidth);
  const down = taps(height, newHeight);
  const rows = new Uint8Array(height * newWidth * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = HALF;
        for (const [s, weight] of across[x]) sum += weight * data[(y * width + s) * channels + c];
        rows[(y * newWidth + x) * 3 + c] = sum >> BITS;
      }
    }
  }
  const result = new Uint8Array(newHeight * newWidth * 3);
  for (let y = 0; y < newHeight; y++) {
    for (let i = 0; i < newWidth * 3; i++) {
      let sum = HALF;
      for (const [s, weight] of down[y]) sum += weight * rows[s * newWidth * 3 + i];
      result[y * newWidth * 3 + i] = sum >> BITS;
    }
  }
  return result;
}

const BITS = 22;
const HALF = 2 ** (BITS - 1);

/** For each of `to` pixels, which of `from` it reads and with what weights, in units of 2^-22. */
function taps(from, to) {
  const scale = from / to;
  const reach = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const count = Math.min(from, Math.trunc(center + reach + 0.5)) - first;
    const weights = Array.from({ length: count }, (_, k) =>
      Math.max(0, 1 - Math.abs(k + first - center + 0.5) * (1 / reach)),
    );
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((weight, k) => [first + k, Math.trunc(0.5 + (weight / sum) * 2 ** BITS)]);
  });
}

/**
 * Most likely first, with probabilities. One number decides between two classes.
 *
 * @param scores       what the network gives for one picture.
 * @param description  MODEL.json, whose `output` says what the numbers are: logits, where it is silent.
 */
export function rank(scores, { classes, output = 'logits' }) {
  const numbers = scores.length === 1 ? [OTHER[output](scores[0]), scores[0]] : [...scores];
  const most = Math.max(...numbers);
  const sum = numbers.reduce((total, logit) => total + Math.exp(logit - most), 0);
  const probabilityOf = {
    logits: (logit) => Math.exp(logit - most) / sum,
    probabilities: (probability) => probability,
    signed: (number) => (1 + number) / 2,
  }[output];
  return numbers
    .map((number, index) => ({
      name: classes[index] ?? `class ${index}`,
      number,
      probability: probabilityOf(number),
    }))
    .sort((a, b) => b.number - a.number);
}

/** Of one number: that of the other class. */
const OTHER = { logits: () => 0, probabilities: (probability) => 1 - probability, signed: (number) => -number };
