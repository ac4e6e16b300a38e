/** What the pages have in common. The build makes one script of each page and this. */

export const part = (id) => document.getElementById(id);

export function show(id, isShown) {
  part(id).hidden = !isShown;
}

/** Shows a problem, or none. */
export function say(problem) {
  part('problem').textContent = problem ?? '';
  show('problem', problem !== undefined);
}

/** What went wrong, for people. */
export function sentences({ message, at, hint }) {
  const large = (text) => text[0].toUpperCase() + text.slice(1);
  const end = hint === undefined ? '' : ` ${large(hint)}${hint.endsWith('?') ? '' : '.'}`;
  return `${at === undefined ? large(message) : `${at}: ${message}`}.${end}`;
}

export function bytesAsText(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

const element = (tag, properties) => Object.assign(document.createElement(tag), properties);

/** Names and values at the foot of the page. */
export function showPairs(pairs) {
  part('facts').replaceChildren(
    ...pairs.map(([name, value]) => {
      const row = element('div');
      row.append(element('dt', { textContent: name }), element('dd', { textContent: value }));
      return row;
    }),
  );
}

/** Classes with the bars of their probabilities. */
export function showGuesses(guesses) {
  part('classes').replaceChildren(
    ...guesses.map(({ name, probability }) => {
      const row = element('li');
      const bar = element('div', { className: 'bar' });
      const fill = element('span');
      fill.style.width = `${100 * probability}%`;
      bar.append(fill);
      row.append(
        element('span', { className: 'name', textContent: name }),
        element('span', { className: 'share', textContent: `${(100 * probability).toFixed(1)} %` }),
        bar,
      );
      return row;
    }),
  );
}
