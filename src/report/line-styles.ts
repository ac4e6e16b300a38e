/** How lines are told apart: by dashes and the shape of their marks, and by colour besides. */

import { px } from './svg.ts';

/** Light, dark; each has a contrast of at least 3 to the ground. */
const COLORS: readonly (readonly [string, string])[] = [
  ['#0b62c4', '#6cb0ff'],
  ['#b35900', '#f0a04b'],
  ['#1a7f37', '#5fd77a'],
  ['#8250df', '#c297ff'],
  ['#bf3989', '#ff8bc5'],
  ['#57606a', '#aab4be'],
  ['#0e7c86', '#4fd0db'],
  ['#8a6d00', '#e3c53d'],
];

const DASHES = ['', '7 4', '2 3', '10 3 2 3', '4 2', '12 4', '1 4', '8 2 2 2 2 2'] as const;

/** So many lines can be told apart in one picture. */
export const LINE_STYLES = COLORS.length;

/** Classes `line-0` … for what is stroked, `mark-0` … for what is filled. */
export const LINE_STYLE = `
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
  .none { stroke: #59636e; stroke-width: 1.5; fill: none; }
${COLORS.map(([light], i) => `  .line-${i} { stroke: ${light}; ${DASHES[i] === '' ? '' : `stroke-dasharray: ${DASHES[i]}; `}} .mark-${i} { fill: ${light}; }`).join('\n')}
  @media (prefers-color-scheme: dark) {
    .none { stroke: #9198a1; }
${COLORS.map(([, dark], i) => `    .line-${i} { stroke: ${dark}; } .mark-${i} { fill: ${dark}; }`).join('\n')}
  }
`;

const R = 4;

/** A circle, square, triangle, diamond, cross … around a point; another shape for each style. */
export function drawMark(x: number, y: number, style: number, title = ''): string {
  const inside = title === '' ? '' : `<title>${title}</title>`;
  const shape = SHAPES[style % SHAPES.length]?.(x, y) ?? '';
  return `<path class="mark-${style % LINE_STYLES}" d="${shape}">${inside}</path>`;
}

type Shape = (x: number, y: number) => string;

const polygon =
  (...corners: readonly (readonly [number, number])[]): Shape =>
  (x, y) =>
    `M${corners.map(([dx, dy]) => `${px(x + dx)} ${px(y + dy)}`).join('L')}z`;

const star = (spikes: number): Shape =>
  polygon(
    ...Array.from({ length: 2 * spikes }, (_, i): readonly [number, number] => {
      const [angle, r] = [(Math.PI * i) / spikes - Math.PI / 2, i % 2 === 0 ? 5.5 : 2.2];
      return [r * Math.cos(angle), r * Math.sin(angle)];
    }),
  );

const SHAPES: readonly Shape[] = [
  (x, y) => `M${px(x - R)} ${px(y)}a${R} ${R} 0 1 0 ${2 * R} 0a${R} ${R} 0 1 0 ${-2 * R} 0z`,
  polygon([-3.6, -3.6], [3.6, -3.6], [3.6, 3.6], [-3.6, 3.6]),
  polygon([0, -5], [4.6, 3.4], [-4.6, 3.4]),
  polygon([0, -5.4], [5.4, 0], [0, 5.4], [-5.4, 0]),
  star(4),
  polygon([0, 5], [4.6, -3.4], [-4.6, -3.4]),
  star(5),
  polygon([-5, -2], [5, -2], [5, 2], [-5, 2]),
];
