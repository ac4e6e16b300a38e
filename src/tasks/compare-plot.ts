/** What a comparison draws. */

import { formatCount } from '../report/format.ts';
import type { PlotOptions, PlotPanel, PlotPoint } from '../report/plot-equilibrium.ts';
import { judged, type Measure } from '../training/comparison/comparison.ts';
import type { Comparison } from '../training/comparison/run-comparison-io.ts';
import { networkName } from '../training/recipes/recipe.ts';

/** The paper's indicators, and their scale-free companions; none where there are no indicators. */
export function equilibriumPanels({ arms, judge }: Comparison): PlotPanel[] {
  const panel = (x: Measure, y: Measure): PlotPoint[] =>
    arms.flatMap(({ name, oEnd, spread }) => {
      const [color, error, stability] = [spread[judged(judge)], spread[x], spread[y]];
      if (color === null || error === null || stability === null) return [];
      return [{ name: oEnd === null ? name : name.replace('reste ', ''), x: error, y: stability, color, order: oEnd }];
    });
  const paper = panel('estimatingError', 'gradientVariance');
  if (paper.length === 0) return [];
  return [
    {
      title: 'as in the paper',
      xLabel: 'estimating error  Σ ‖f(w) − sign(w)‖₂',
      yLabel: 'gradient stability  Σ var(|g|)  (more is less stable)',
      points: paper,
      isLogY: paper.every(({ y }) => y.mean > 0),
    },
    {
      title: 'free of scale',
      xLabel: 'estimating error per weight  e / √n',
      yLabel: 'std(|g|) / mean(|g|)',
      points: panel('errorPerWeight', 'gradientVariation'),
      isLogY: false,
    },
  ];
}

export function plotTitles({ recipe, seeds, arms, judge }: Comparison): PlotOptions {
  const isSweep = arms.every(({ oEnd }) => oEnd !== null);
  const images = recipe.limitTrain > 0 ? `, ${formatCount(recipe.limitTrain - recipe.validation)} pictures` : '';
  const rates = new Set(arms.map(({ overrides }) => overrides['lr'] ?? recipe.lr));
  const rate = rates.size === 1 ? `lr ${[...rates].join()}` : 'lr of each arm';
  return {
    title: isSweep ? 'The equilibrium of ReSTE over its final power o' : 'Estimating error and gradient stability',
    subtitle: `${networkName(recipe)} on ${recipe.dataset}${images}, ${recipe.epochs} epochs, ${recipe.optimizer} ${rate}, ${seeds.length} seeds (bars: one standard deviation)`,
    colorLabel: `${judge} accuracy`,
  };
}
