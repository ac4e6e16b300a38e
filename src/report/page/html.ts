/** Pieces of pages. Everything that is given as text is escaped; `Html` is what already is. */

import { escapeXml } from '../svg.ts';
import { PAGE_STYLE } from './style.ts';

export type Html = string & { readonly __html?: true };

/** Any text, also from a file of somebody else. */
export function escapeHtml(text: string): Html {
  return escapeXml(text).replaceAll("'", '&#39;');
}

export interface PageOptions {
  readonly title: string;
  readonly body: Html;
  /** Of a script that belongs to the page; none unless told. */
  readonly script?: string;
  readonly scriptNonce?: string;
}

/** A whole page, which loads nothing; the policy in it makes sure. */
export function page({ title, body, script, scriptNonce = '' }: PageOptions): Html {
  const allowed = script === undefined ? '' : ` script-src 'nonce-${scriptNonce}'; connect-src 'self';`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="content-security-policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline';${allowed} base-uri 'none'; form-action 'none'">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
    `<title>${escapeHtml(title)}</title>`,
    `<style>${PAGE_STYLE}</style>`,
    '</head>',
    '<body>',
    body,
    ...(script === undefined ? [] : [`<script nonce="${scriptNonce}">${script}</script>`]),
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

export interface Cell {
  readonly html: Html;
  readonly className?: string;
  readonly style?: string;
}

/** Text, or a cell that is more than that. */
export type CellContent = string | Cell;

export interface TableOptions {
  /** What the table is, also for who cannot see it. */
  readonly label: string;
  /** The first cell of a row names it. */
  readonly head: readonly CellContent[];
  readonly rows: readonly (readonly CellContent[])[];
  readonly foot?: readonly CellContent[];
  readonly className?: string;
  /** By row. */
  readonly rowClass?: (row: number) => string;
  readonly caption?: boolean;
}

/** A table in a box of its own, which scrolls where the screen is narrower, by keyboard too. */
export function table({ label, head, rows, foot, className = '', rowClass, caption = false }: TableOptions): Html {
  const cellOf = (tag: 'th' | 'td', content: CellContent, scope = ''): Html => {
    const {
      html,
      className: name = '',
      style = '',
    }: Cell = typeof content === 'string' ? { html: escapeHtml(content) } : content;
    const attributes = `${name === '' ? '' : ` class="${name}"`}${style === '' ? '' : ` style="${style}"`}`;
    return `<${tag}${scope}${attributes}>${html}</${tag}>`;
  };
  const row = (cells: readonly CellContent[], name = ''): Html => {
    const [first = '', ...rest] = cells;
    const inner = cellOf('th', first, ' scope="row"') + rest.map((cell) => cellOf('td', cell)).join('');
    return `<tr${name === '' ? '' : ` class="${name}"`}>${inner}</tr>`;
  };
  return [
    `<div class="box" tabindex="0" role="region" aria-label="${escapeHtml(label)}">`,
    `<table${className === '' ? '' : ` class="${className}"`}>`,
    ...(caption ? [`<caption>${escapeHtml(label)}</caption>`] : []),
    `<thead><tr>${head.map((cell) => cellOf('th', cell, ' scope="col"')).join('')}</tr></thead>`,
    `<tbody>${rows.map((cells, i) => row(cells, rowClass?.(i))).join('\n')}</tbody>`,
    ...(foot === undefined ? [] : [`<tfoot>${row(foot)}</tfoot>`]),
    '</table>',
    '</div>',
  ].join('\n');
}

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly html: Html;
}

/** Nothing of a section without content. */
export function sections(given: readonly Section[]): { readonly nav: Html; readonly html: Html } {
  const shown = given.filter(({ html }) => html !== '');
  return {
    nav: `<nav aria-label="Sections"><ul>${shown.map(({ id, title }) => `<li><a href="#${id}">${escapeHtml(title)}</a></li>`).join('')}</ul></nav>`,
    html: shown
      .map(
        ({ id, title, html }) =>
          `<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${escapeHtml(title)}</h2>\n${html}\n</section>`,
      )
      .join('\n'),
  };
}

export function note(text: string): Html {
  return `<p class="note">${escapeHtml(text)}</p>`;
}

export function quiet(text: string): Html {
  return `<p class="quiet">${escapeHtml(text)}</p>`;
}

/** Figures that stand out: names and values. */
export function figures(pairs: readonly (readonly [name: string, value: string])[]): Html {
  return `<dl class="figures">${pairs.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl>`;
}

export function details(summary: string, html: Html): Html {
  return `<details><summary>${escapeHtml(summary)}</summary>\n${html}\n</details>`;
}

/** A share 0 … 1 as a bar beside its number. */
export function bar(share: number | null, label: string): Cell {
  if (share === null) return { html: escapeHtml(label) };
  return { html: `<div class="bar"><i style="--share:${(100 * share).toFixed(1)}%"></i>${escapeHtml(label)}</div>` };
}
