/** What the plots share: their style in the reader's light or dark scheme, text, axes. No script. */

import type { Box } from './plot-labels.ts';
import type { Scale } from './plot-scale.ts';
import { visible } from './visible-text.ts';

export const SVG_STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .panel { font-size: 13px; font-weight: 600; }
  .muted { fill: #59636e; }
  .label { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round; }
  .back { fill: #ffffff; }
  .grid { stroke: #d8dee4; stroke-width: 1; }
  .frame { fill: none; stroke: #8c959f; stroke-width: 1; }
  .point { stroke: #1f2328; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .muted { fill: #9198a1; }
    .label { stroke: #0d1117; }
    .back { fill: #0d1117; }
    .grid { stroke: #2a313c; }
    .frame { stroke: #656c76; }
    .point { stroke: #e6edf3; }
  }
`;

/** The first lines of a picture; `</svg>` is left to the caller. */
export function openSvg(title: string, style: string, width: number, height: number): string[] {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="back" width="${width}" height="${height}"/>`,
  ];
}

/** Between the y axis and the labels of its ticks. */
export const AXIS_LABEL_GAP = 8;

/** At most, in a common font of 12 pixels. */
export function textWidth(content: string): number {
  return 7.2 * content.length;
}

export function drawAxes(x: Scale, y: Scale, { left, top, right, bottom }: Box): string[] {
  return [
    ...x.ticks.flatMap(({ value, label }) => {
      const at = px(x.at(value));
      return [
        `<line class="grid" x1="${at}" x2="${at}" y1="${top}" y2="${bottom}"/>`,
        text(x.at(value), bottom + 18, label, 'class="muted" text-anchor="middle"'),
      ];
    }),
    ...y.ticks.flatMap(({ value, label }) => {
      const at = px(y.at(value));
      return [
        `<line class="grid" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/>`,
        text(left - AXIS_LABEL_GAP, y.at(value) + 4, label, 'class="muted" text-anchor="end"'),
      ];
    }),
    `<rect class="frame" x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/>`,
  ];
}

export function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${px(x)}" y="${px(y)}"${attributes === '' ? '' : ` ${attributes}`}>${escapeXml(content)}</text>`;
}

/** A tenth of a pixel is finer than any screen. */
export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Besides controls, what no XML file may hold: one half of a pair, and two that are no characters. */
const NO_XML = /[\p{Cs}\ufffe\uffff]/gu;

export function escapeXml(content: string): string {
  return visible(content)
    .replaceAll(NO_XML, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
