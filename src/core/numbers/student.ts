/** Student's t distribution and the power of its test, the binomial sign test, and Holm's correction: what paired comparisons need. */

/** P(T ≤ t) with ν degrees of freedom. */
export function studentCdf(t: number, nu: number): number {
  const tail = 0.5 * incompleteBeta(nu / (nu + t * t), nu / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/** P(|T| ≥ |t|). */
export function twoSidedP(t: number, nu: number): number {
  return incompleteBeta(nu / (nu + t * t), nu / 2, 0.5);
}

/** The t with P(T ≤ t) = p, for 0 < p < 1. */
export function studentQuantile(p: number, nu: number): number {
  if (p < 0.5) return -studentQuantile(1 - p, nu);
  let [low, high] = [0, 1];
  while (studentCdf(high, nu) < p) high *= 2;
  for (let i = 0; i < 200 && high - low > 1e-14 * high; i++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, nu) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * P(|T| ≥ c) for a noncentral T: the power of a two-sided test with ν degrees of freedom where the true difference is δ standard errors. T² is
 * a mixture of beta variables, by Poisson weights of mean δ²/2.
 */
export function powerOf(delta: number, c: number, nu: number): number {
  const rate = (delta * delta) / 2;
  if (rate === 0) return twoSidedP(c, nu);
  const x = (c * c) / (c * c + nu);
  // Beyond ten deviations of the weights lies less than rounding.
  const reach = 10 * Math.sqrt(rate) + 40;
  let below = 0;
  for (let j = Math.max(0, Math.floor(rate - reach)); j <= rate + reach; j++) {
    const weight = Math.exp(j * Math.log(rate) - rate - logGamma(j + 1));
    below += weight * incompleteBeta(x, 0.5 + j, nu / 2);
  }
  return Math.max(0, 1 - below);
}

/** The true difference, in standard errors, that such a test finds with this power. */
export function detectableBy(power: number, c: number, nu: number): number {
  let [low, high] = [0, c + 1];
  while (powerOf(high, c, nu) < power) high *= 2;
  for (let i = 0; i < 60 && high - low > 1e-9 * high; i++) {
    const middle = (low + high) / 2;
    if (powerOf(middle, c, nu) < power) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** I_x(a, b), by the continued fraction of Lentz on the side where it converges fast. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  const tiny = 1e-300;
  let [c, d] = [1, 1 / (1 - ((a + b) * x) / (a + 1) || tiny)];
  let fraction = d;
  for (let m = 1; m <= 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let step = 1;
    for (const term of [even, odd]) {
      d = 1 / (1 + term * d || tiny);
      c = 1 + term / c || tiny;
      step = c * d;
      fraction *= step;
    }
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return front * fraction;
}

/** log Γ(x) for x > 0: Stirling's series beyond 12, by recurrence below. */
function logGamma(x: number): number {
  let shift = 0;
  while (x < 12) {
    shift += Math.log(x);
    x++;
  }
  const y = 1 / (x * x);
  const series = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y * (1 / 1188 - (y * 691) / 360_360))))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}

/**
 * The exact two-sided p of McNemar's test: how likely a split as uneven as `first` against `second` is, were both equally likely.
 *
 * @param first   pictures that only one classifier has right.
 * @param second  pictures that only the other has right.
 */
export function mcnemarP(first: number, second: number): number {
  const n = first + second;
  let tail = 0;
  for (let k = 0; k <= Math.min(first, second); k++) {
    tail += Math.exp(logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1) - n * Math.LN2);
  }
  return Math.min(1, 2 * tail);
}

/** Holm's p values for tests that are made together, in the order given. */
export function holm(ps: readonly number[]): number[] {
  const order = Array.from(ps.keys()).sort((a, b) => (ps[a] ?? 0) - (ps[b] ?? 0));
  const corrected = new Array<number>(ps.length);
  let largest = 0;
  for (const [rank, i] of order.entries()) {
    largest = Math.max(largest, Math.min(1, (ps.length - rank) * (ps[i] ?? 0)));
    corrected[i] = largest;
  }
  return corrected;
}
