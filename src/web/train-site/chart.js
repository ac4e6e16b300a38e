/** Curves as SVG, drawn anew whenever they grow. */

const SVG = 'http://www.w3.org/2000/svg';
/** Around the curves, in pixels. */
const MARGIN = { left: 46, right: 8, top: 14, bottom: 30 };

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Round numbers from 0 to at least `most`. */
function ticks(most, count) {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const end = Math.ceil(most / step - 1e-9);
  return Array.from({ length: end + 1 }, (_, i) => Number((i * step).toPrecision(6)));
}

/**
 * @param label   what the chart shows, for who does not see it.
 * @param epochs  where the axis ends.
 * @param most    where the other one ends; unless told, where the lines do.
 * @param format  of values.
 * @param lines   points (epochs, value) by name; `test` has dots.
 */
export function drawChart(svg, { label, epochs, most, format, lines }) {
  const { width, height } = svg.getBoundingClientRect();
  const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
  const values = Object.values(lines).flatMap((points) => points.map(([, y]) => y));
  const rows = ticks(most ?? Math.max(0.5, ...values), 4);
  const high = rows.at(-1);
  const x = (at) => left + (at / epochs) * (right - left);
  const y = (value) => bottom - (value / high) * (bottom - top);
  const parts = rows.flatMap((value) => [
    element('line', { class: 'grid', x1: left, x2: right, y1: y(value), y2: y(value) }),
    element('text', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, format(value)),
  ]);
  const columns = ticks(epochs, Math.max(2, Math.floor(width / 60))).filter(
    (at) => at <= epochs && Number.isInteger(at),
  );
  for (const at of columns) {
    const anchor = x(at) > right - 8 ? 'end' : 'middle';
    parts.push(element('text', { x: x(at), y: bottom + 20, 'text-anchor': anchor }, String(at)));
  }
  for (const [name, points] of Object.entries(lines)) {
    const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    parts.push(element('polyline', { class: `line ${name}`, points: path }));
    if (name !== 'test') continue;
    for (const [at, value] of points) parts.push(element('circle', { class: 'point', cx: x(at), cy: y(value), r: 4 }));
  }
  const ends = Object.entries(lines)
    .filter(([, points]) => points.length > 0)
    .map(([name, points]) => `${name} ${points.at(-1)[1].toFixed(3)}`);
  svg.setAttribute('aria-label', `${label}: ${ends.join(', ') || 'nothing yet'}`);
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
}
