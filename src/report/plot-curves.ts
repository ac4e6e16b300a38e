/** Accuracy by epoch as SVG: one line per training, and single results of others to compare with. */

import { colorOf } from './plot-color.ts';
import { placeLabels } from './plot-labels.ts';
import { linearScale, logScale } from './plot-scale.ts';
import { drawAxes, openSvg, px, SVG_STYLE, text } from './svg.ts';

export interface CurvePoint {
  /** From 1. */
  readonly epoch: number;
  /** 0 … 1. */
  readonly accuracy: number;
}

export interface Curve {
  readonly name: string;
  /** In order of epochs; at least one. */
  readonly points: readonly CurvePoint[];
}

export interface CurvesOptions {
  readonly title: string;
  readonly subtitle: string;
  /** Results of which only the end is known. */
  readonly references: readonly (CurvePoint & { readonly name: string })[];
}

const FRAME = { left: 64, top: 76, right: 744, bottom: 396 } as const;
const WIDTH = 776;
const HEIGHT = 452;
const RADIUS = 5;
const STYLE = `${SVG_STYLE}
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .reference { fill: none; stroke: #1f2328; stroke-width: 1.5; }
  .leader { stroke: #59636e; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    .reference { stroke: #e6edf3; }
    .leader { stroke: #9198a1; }
  }
`;

/** @param curves at least one. */
export function plotCurves(curves: readonly Curve[], { title, subtitle, references }: CurvesOptions): string {
  const all = [...curves.flatMap(({ points }) => points), ...references];
  const x = logScale(
    all.map(({ epoch }) => epoch),
    { range: [FRAME.left, FRAME.right], count: 8 },
  );
  const y = linearScale(
    all.map(({ accuracy }) => 100 * accuracy),
    { range: [FRAME.bottom, FRAME.top] },
  );
  const place = ({ epoch, accuracy }: CurvePoint) => ({ cx: x.at(epoch), cy: y.at(100 * accuracy) });
  const ends = curves.flatMap(({ name, points }) =>
    points.slice(-1).map((point) => ({ name: label(name, point), ...place(point) })),
  );
  const others = references.map((point) => ({ name: label(point.name, point), ...place(point) }));
  const corners = curves.flatMap(({ points }) => points.map(place));
  const color = (i: number): string => colorOf(0.15 + (0.6 * i) / Math.max(1, curves.length - 1));
  return [
    ...openSvg(title, STYLE, WIDTH, HEIGHT),
    text(FRAME.left, 30, title, 'class="title"'),
    text(FRAME.left, 50, subtitle, 'class="muted"'),
    ...drawAxes(x, y, FRAME),
    ...curves.map(({ points }, i) => {
      const path = points.map(place).map(({ cx, cy }) => `${px(cx)},${px(cy)}`);
      return `<polyline class="curve" stroke="${color(i)}" points="${path.join(' ')}"/>`;
    }),
    ...ends.map(
      ({ cx, cy }, i) => `<circle class="point" cx="${px(cx)}" cy="${px(cy)}" r="${RADIUS}" fill="${color(i)}"/>`,
    ),
    ...others.map(({ cx, cy }) => `<circle class="reference" cx="${px(cx)}" cy="${px(cy)}" r="${RADIUS}"/>`),
    ...placeLabels([...ends, ...others], FRAME, RADIUS, corners).flatMap(({ name, x: at, y: baseline, line }) => [
      ...(line === null
        ? []
        : [`<line class="leader" x1="${px(line.x1)}" y1="${px(line.y1)}" x2="${px(line.x2)}" y2="${px(line.y2)}"/>`]),
      text(at, baseline, name, 'class="label"'),
    ]),
    text((FRAME.left + FRAME.right) / 2, FRAME.bottom + 40, 'epochs', 'text-anchor="middle"'),
    text(
      0,
      0,
      'test accuracy, %',
      `text-anchor="middle" transform="translate(${FRAME.left - 46} ${(FRAME.top + FRAME.bottom) / 2}) rotate(-90)"`,
    ),
    '</svg>',
    '',
  ].join('\n');
}

function label(name: string, { accuracy }: CurvePoint): string {
  return `${name}, ${(100 * accuracy).toFixed(2)} %`;
}
