/** The look of the pages: light and dark, wide and narrow, on paper. */

import { LINES_STYLE } from '../plot-lines.ts';

export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f6f7f9, #0b0e13);
  --panel: light-dark(#fff, #0d1117);
  --text: light-dark(#1b1f24, #e8eaee);
  --quiet: light-dark(#59636e, #a3adb9);
  --line: light-dark(#d5dae0, #323a45);
  --accent: light-dark(#1d5fd1, #7aadff);
  --right: light-dark(#1d5fd1, #4d8fe8);
  --wrong: light-dark(#c2410c, #e0762f);
  --track: light-dark(#e8ecf1, #232a33);
  --note: light-dark(#fff6dd, #2d2711);
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px / 1.5 system-ui, sans-serif; }
main, header, footer { max-width: 78rem; margin: 0 auto; padding: 0 clamp(1rem, 3vw, 2rem); }
header { padding-top: clamp(1rem, 4vw, 2.5rem); }
footer { padding-block: 2rem; color: var(--quiet); font-size: .875rem; }
h1 { margin: 0; font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.3rem; line-height: 1.3; }
h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; overflow-wrap: anywhere; }
p { margin: .35rem 0; max-width: 70ch; overflow-wrap: anywhere; }
a { color: var(--accent); }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); }
nav ul { display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; margin: 1rem 0 0; padding: 0; list-style: none; }
.note { padding: .6rem .9rem; border: 1px solid var(--line); border-left: 4px solid var(--wrong); border-radius: .4rem; background: var(--note); max-width: none; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 0; padding: 0; }
.figures > div { flex: 1 1 9rem; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--panel); }
.figures dt { color: var(--quiet); font-size: .875rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem; }
.plots > svg { width: 100%; height: auto; padding: .75rem .5rem .25rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--panel); }
.multiples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 13.5rem), 1fr)); gap: .6rem; margin: .5rem 0 1rem; }
.multiples > svg { width: 100%; height: auto; padding: .4rem .2rem 0; border: 1px solid var(--line); border-radius: .5rem; background: var(--panel); }
.multiples .panel { font-size: 12px; }
.band { fill-opacity: .22; }
.legend { display: flex; flex-wrap: wrap; gap: .35rem 1.25rem; margin: .5rem 0; padding: 0; list-style: none; overflow-wrap: anywhere; }
.legend li { display: flex; gap: .5rem; align-items: center; min-width: 0; }
.sample { flex: none; width: 2.9rem; height: .9rem; }
.box { overflow-x: auto; width: fit-content; max-width: 100%; border: 1px solid var(--line); border-radius: .6rem; background: var(--panel); }
.box:focus-visible, a:focus-visible, summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; align-items: flex-start; }
.beside > * { min-width: 0; max-width: 100%; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { padding: .6rem .75rem; text-align: left; color: var(--quiet); caption-side: top; }
th, td { padding: .3rem .75rem; text-align: right; white-space: nowrap; vertical-align: middle; }
th { font-weight: 600; }
thead th { vertical-align: bottom; border-bottom: 1px solid var(--line); }
tbody tr + tr > * { border-top: 1px solid color-mix(in srgb, var(--line) 55%, transparent); }
tfoot > tr > * { border-top: 2px solid var(--line); font-weight: 600; }
th:first-child, .text { text-align: left; }
tbody th { font-weight: 400; }
td.long { white-space: normal; min-width: 10rem; max-width: 26rem; overflow-wrap: anywhere; }
tr.differs > th { font-weight: 600; }
tr.differs > th::after { content: " ≠"; color: var(--wrong); }
.bar { display: grid; grid-template-columns: 5rem 4.2rem; gap: .5rem; align-items: center; justify-content: end; }
.bar > i { height: .6rem; border: 1px solid color-mix(in srgb, var(--right) 60%, var(--line)); border-radius: .2rem; background: linear-gradient(to right, var(--right) var(--share), transparent 0); }
.matrix td { min-width: 2.6rem; padding: .3rem .45rem; text-align: center; background: color-mix(in srgb, var(--wrong) calc(var(--share) * 50%), transparent); }
.matrix td.right { background: color-mix(in srgb, var(--right) calc(var(--share) * 35%), transparent); outline: 2px solid var(--right); outline-offset: -3px; font-weight: 600; }
.matrix td.zero { color: var(--quiet); }
.matrix thead th + th { text-align: center; max-width: 5.5rem; overflow: hidden; text-overflow: ellipsis; }
.matrix .turned { writing-mode: vertical-rl; max-height: 9rem; margin: 0 auto; overflow: hidden; text-overflow: ellipsis; transform: rotate(180deg); }
.box th:first-child { position: sticky; left: 0; z-index: 1; background: var(--panel); }
.matrix tbody th { max-width: 9rem; overflow: hidden; text-overflow: ellipsis; }
.heat { width: min(100%, 32rem); margin: 0; padding: 1rem; border: 1px solid var(--line); border-radius: .6rem; background: var(--panel); max-width: 100%; }
.heat img { display: block; width: 30rem; max-width: 100%; aspect-ratio: 1; image-rendering: pixelated; border: 1px solid var(--line); }
@media (prefers-color-scheme: dark) { .heat img { filter: invert(1); border-color: #cdc5ba; } }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(8.5rem, 45%), 1fr)); gap: .9rem; margin: 0; padding: 0; list-style: none; }
.gallery figure { margin: 0; padding: .6rem; height: 100%; border: 1px solid var(--line); border-radius: .6rem; background: var(--panel); break-inside: avoid; }
.gallery img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: .3rem; background: var(--track); }
.gallery .exact { image-rendering: pixelated; }
.gallery figcaption { margin-top: .4rem; font-size: .8125rem; line-height: 1.35; overflow-wrap: anywhere; }
.gallery b { font-weight: 600; }
.spark { display: inline-block; width: 5.5rem; height: 1.4rem; vertical-align: middle; overflow: visible; }
.spark polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.spark circle { fill: var(--accent); }
details { margin: .75rem 0; }
summary { cursor: pointer; color: var(--accent); padding: .25rem 0; }
progress { width: 100%; height: 1rem; accent-color: var(--accent); }
@media (max-width: 34rem) {
  th, td { padding-inline: .5rem; }
  tbody th { white-space: normal; min-width: 6rem; max-width: 9rem; overflow-wrap: break-word; }
  .bar { grid-template-columns: 2.5rem 4.2rem; }
  td.long { min-width: 8rem; }
}
@media print {
  .box th:first-child { position: static; }
  :root { color-scheme: light; }
  body { background: #fff; font-size: 11px; }
  nav, summary { display: none; }
  main, header, footer { max-width: none; padding: 0; }
  .box { overflow: visible; border: 0; }
  table { font-size: 9px; }
  th, td { padding: .15rem .4rem; }
  h2, h3 { break-after: avoid; }
  tr, .plots > svg, .multiples > svg, .figures > div { break-inside: avoid; }
}
${LINES_STYLE}
.plot .back { display: none; }
`;
