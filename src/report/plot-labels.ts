/** Where the names of the points of a plot go: beside their points, or further off with a line that leads back. */

export interface LabelledPoint {
  readonly name: string;
  /** Centre of the point, pixels. */
  readonly cx: number;
  readonly cy: number;
}

/** Pixels, y downwards. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Label {
  readonly name: string;
  /** Start of the text and its baseline. */
  readonly x: number;
  readonly y: number;
  /** From the point to a text that does not stand beside it. */
  readonly line: { readonly x1: number; readonly y1: number; readonly x2: number; readonly y2: number } | null;
}

const CHARACTER_WIDTH = 6.6;
const ASCENT = 10;
const DESCENT = 3;
const GAP = 4;
/** Of names to the frame. */
const MARGIN = 3;
/** Distances from the point, and directions, in the order in which they are preferred: to the right first, slightly upwards. */
const DISTANCES = [0, 10, 20, 30, 40, 52, 64, 80, 96, 115, 135, 160, 190, 225];
const DIRECTIONS = [-20, 160, 20, 200, -60, 240, 60, 120, -90, 90].map((degrees) => (degrees * Math.PI) / 180);

/**
 * Places every name where it covers no point, no other name and no part of the frame, as near to its point as that allows; if possible,
 * none is nearer to another point, and no line to a name runs through another name, another point or another line. A name that fits nowhere stands to the right of its point.
 * Points with most neighbours are served first, since they have the least choice.
 *
 * @param avoid  other places that are not covered, such as the corners of a line.
 */
export function placeLabels(
  points: readonly LabelledPoint[],
  frame: Box,
  radius: number,
  avoid: readonly Omit<LabelledPoint, 'name'>[] = [],
): Label[] {
  const neighbours = ({ cx, cy }: LabelledPoint): number =>
    points.filter((other) => Math.hypot(other.cx - cx, other.cy - cy) < 60).length;
  const order = [...points].sort((a, b) => neighbours(b) - neighbours(a) || a.cy - b.cy);
  // Who comes first may take the only place of another.
  const orders = [order, ...order.slice(1).map((first) => [first, ...order.filter((point) => point !== first)])];
  const tried = orders.map((points) => placeInOrder(points, frame, radius, avoid));
  const { placed } = tried.reduce((best, one) => (one.cost < best.cost ? one : best));
  return points.flatMap((point) => placed.get(point) ?? []);
}

/** Pixels of distance that a fault counts as. */
const COST = { ambiguous: 1000, crossed: 4000, covering: 16_000 } as const;

interface Placement {
  readonly placed: ReadonlyMap<LabelledPoint, Label>;
  readonly cost: number;
}

function placeInOrder(
  points: readonly LabelledPoint[],
  frame: Box,
  radius: number,
  avoid: readonly Omit<LabelledPoint, 'name'>[],
): Placement {
  const circles = [...points, ...avoid].map(({ cx, cy }) => boxAround(cx, cy, radius + 1));
  const taken: Box[] = [];
  const placed = new Map<LabelledPoint, Label>();
  const isCovering = (box: Box): boolean =>
    !isInside(box, frame) || [...circles, ...taken].some((other) => overlap(box, other));
  const isCrossed = ({ line }: Label, box: Box): boolean =>
    (line !== null && taken.some((other) => passes(line, other))) ||
    [...placed.values()].some((other) => other.line !== null && passes(other.line, box));
  /** Whether a name may be taken for that of another point: nearer to it, or its line leads past it or across another line. */
  const isAmbiguous = (point: LabelledPoint, { line }: Label, box: Box): boolean => {
    const others = points.filter((other) => other !== point);
    if (others.some((other) => gapTo(box, other) < gapTo(box, point))) return true;
    if (line === null) return false;
    const isPast = others.some(({ cx, cy }) => passes(line, boxAround(cx, cy, radius + 1)));
    return isPast || [...placed.values()].some((other) => other.line !== null && cross(line, other.line));
  };
  let total = 0;
  for (const point of points) {
    const candidates = DISTANCES.flatMap((distance) =>
      DIRECTIONS.map((direction) => {
        const box = boxBeside(point, direction, radius, distance);
        const label = labelOf(point, box, radius, distance > 0);
        const faults =
          (isCovering(box) ? COST.covering : 0) +
          (isCrossed(label, box) ? COST.crossed : 0) +
          (isAmbiguous(point, label, box) ? COST.ambiguous : 0);
        return { box, label, cost: distance + faults };
      }),
    );
    const { box, label, cost } = candidates.reduce((best, one) => (one.cost < best.cost ? one : best));
    total += cost;
    taken.push(box);
    placed.set(point, label);
  }
  return { placed, cost: total };
}

function boxBeside({ name, cx, cy }: LabelledPoint, direction: number, radius: number, distance: number): Box {
  const [halfWidth, halfHeight] = [(name.length * CHARACTER_WIDTH) / 2, (ASCENT + DESCENT) / 2];
  const [dx, dy] = [Math.cos(direction), Math.sin(direction)];
  const reach = radius + GAP + distance;
  // Its edge, not its centre, is as far off as asked.
  const x = cx + dx * reach + Math.sign(Math.round(dx * 10)) * halfWidth;
  const y = cy + dy * (reach + halfHeight);
  return { left: x - halfWidth, right: x + halfWidth, top: y - halfHeight, bottom: y + halfHeight };
}

function labelOf({ name, cx, cy }: LabelledPoint, box: Box, radius: number, isAway: boolean): Label {
  const label = { name, x: box.left, y: box.bottom - DESCENT };
  if (!isAway) return { ...label, line: null };
  const [x2, y2] = nearestIn(box, cx, cy);
  const length = Math.hypot(x2 - cx, y2 - cy);
  const share = length > 0 ? radius / length : 0;
  return { ...label, line: { x1: cx + (x2 - cx) * share, y1: cy + (y2 - cy) * share, x2, y2 } };
}

function nearestIn(box: Box, x: number, y: number): [x: number, y: number] {
  return [clamp(x, box.left, box.right), clamp(y, box.top, box.bottom)];
}

function gapTo(box: Box, { cx, cy }: LabelledPoint): number {
  const [x, y] = nearestIn(box, cx, cy);
  return Math.hypot(x - cx, y - cy);
}

/** Small boxes along the line to a name. */
function alongLine({ line }: Label): Box[] {
  if (line === null) return [];
  const { x1, y1, x2, y2 } = line;
  const steps = Math.ceil(Math.hypot(x2 - x1, y2 - y1) / 4);
  return Array.from({ length: steps }, (_, i) =>
    boxAround(x1 + ((x2 - x1) * i) / steps, y1 + ((y2 - y1) * i) / steps, 1),
  );
}

type Line = NonNullable<Label['line']>;

function passes(line: Line, box: Box): boolean {
  return alongLine({ name: '', x: 0, y: 0, line }).some((at) => overlap(at, box));
}

/** Whether two segments have a point in common that is no end of both. */
function cross(a: Line, b: Line): boolean {
  const side = ({ x1, y1, x2, y2 }: Line, x: number, y: number): number =>
    Math.sign((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1));
  return side(a, b.x1, b.y1) !== side(a, b.x2, b.y2) && side(b, a.x1, a.y1) !== side(b, a.x2, a.y2);
}

function boxAround(x: number, y: number, reach: number): Box {
  return { left: x - reach, right: x + reach, top: y - reach, bottom: y + reach };
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function isInside(box: Box, frame: Box): boolean {
  const sides = [box.left - frame.left, frame.right - box.right, box.top - frame.top, frame.bottom - box.bottom];
  return Math.min(...sides) > MARGIN;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
