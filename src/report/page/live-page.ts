/** The page of a training under way: the curves of its run folder, as they grow. */

import { inlinePanel, type LinePanel } from '../plot-lines.ts';
import { escapeHtml, figures, type Html, page, table } from './html.ts';

export interface LiveState {
  readonly title: string;
  readonly subtitle: string;
  readonly panels: readonly LinePanel[];
  /** Of the last epoch. */
  readonly figures: readonly (readonly [name: string, value: string])[];
  readonly table: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };
}

/** What a step changes on the page. */
export interface LiveStep {
  /** Of the epoch, 0 … 1. */
  readonly share: number;
  readonly text: string;
}

/** Events of `/events`: `epoch` with HTML of the curves, `step` with a LiveStep, `end` with a sentence. All data are JSON. */
const SCRIPT = `
'use strict';
const at = (id) => document.getElementById(id);
const say = (text) => { if (at('status').textContent !== text) at('status').textContent = text; };
const source = new EventSource('/events');
let ended = false;
source.addEventListener('epoch', ({ data }) => { at('curves').innerHTML = JSON.parse(data); });
source.addEventListener('step', ({ data }) => {
  const { share, text } = JSON.parse(data);
  at('progress').value = share;
  at('step').textContent = text;
});
source.addEventListener('end', ({ data }) => {
  ended = true;
  source.close();
  at('progress').hidden = true;
  at('step').textContent = '';
  say(JSON.parse(data));
});
source.addEventListener('open', () => say('The training is running.'));
source.addEventListener('error', () => { if (!ended) say('No connection to the training: it has ended, or its machine is busy.'); });
`;

export function livePage(state: LiveState, step: LiveStep | null, nonce: string): Html {
  return page({
    title: `${state.title}: training`,
    script: SCRIPT,
    scriptNonce: nonce,
    body: [
      '<header>',
      `<h1>${escapeHtml(state.title)}</h1>`,
      `<p class="quiet">${escapeHtml(state.subtitle)}</p>`,
      '<p id="status" role="status">Connecting …</p>',
      `<progress id="progress" aria-label="this epoch" max="1" value="${step?.share ?? 0}"></progress>`,
      `<p id="step" class="quiet">${escapeHtml(step?.text ?? '')}</p>`,
      '</header>',
      `<main id="curves">${liveCurves(state)}</main>`,
      '<footer><p>The page is served by the training on this machine alone, and ends with it. <code>curves.svg</code> and <code>history.csv</code> in the run folder stay.</p></footer>',
    ].join('\n'),
  });
}

/** What changes with an epoch. */
export function liveCurves({ panels, figures: numbers, table: epochs }: LiveState): Html {
  if (panels.length === 0) return '<p class="quiet">The curves begin with the end of the first epoch.</p>';
  return [
    figures(numbers),
    '<h2>Curves</h2>',
    `<div class="plots">${panels.map(inlinePanel).join('\n')}</div>`,
    '<h2>Epochs</h2>',
    table({ label: 'epochs, the latest first', ...epochs }),
  ].join('\n');
}
