import type { Pass } from '../pass.ts';
import { removeDead } from '../rewrite.ts';

export const REMOVE_DEAD: Pass = {
  name: 'remove-dead',
  doc: 'Removes nodes that no output depends on and constants that nothing reads.',
  rewrites: [],
  run: ({ graph }) => {
    const before = graph.values.size;
    for (const node of [...graph.nodes()].reverse()) if (node.$graph === graph) removeDead(graph, node);
    for (const value of [...graph.constants()]) {
      if (value.uses.length === 0 && !value.isOutput()) graph.removeConstant(value);
    }
    return { changed: graph.values.size !== before };
  },
};
