/** Pictures of mistakes on a page. */

import { formatPercent } from '../format.ts';
import { escapeHtml, type Html } from './html.ts';

export interface ShownMistake {
  /** A data address. */
  readonly address: string;
  /** Enlarged pixels are shown as they are. */
  readonly isSmall: boolean;
  readonly picture: string;
  readonly label: string;
  readonly decision: string;
  readonly probability: number;
  readonly labelProbability: number;
}

export function gallery(mistakes: readonly ShownMistake[]): Html {
  return `<ul class="gallery">${mistakes.map((mistake) => `<li>${figure(mistake)}</li>`).join('\n')}</ul>`;
}

function figure({ address, isSmall, picture, label, decision, probability, labelProbability }: ShownMistake): Html {
  const [is, taken, name] = [label, decision, picture].map(escapeHtml);
  return [
    `<figure><img src="${address}" alt="${name}"${isSmall ? ' class="exact"' : ''} decoding="async">`,
    `<figcaption>is <b>${is}</b> (${percent(labelProbability)}),<br>taken for <b>${taken}</b> (${percent(probability)})<br><span class="quiet">${name}</span></figcaption></figure>`,
  ].join('');
}

/** On one line. */
function percent(share: number): Html {
  return formatPercent(share, 1).replace(' ', '&nbsp;');
}
