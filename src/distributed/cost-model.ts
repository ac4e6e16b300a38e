/**
 * What training together costs: how long sums take on a network, and what of that the backward pass hides.
 *
 * Of P machines, a message of b bytes takes α + b/β with the latency α and the rate β of the network; 3·α where it is longer than 64 kB: MPI
 * first asks the other side whether it is ready. A sum of B bytes then takes, as `native/mpi/schedule.h` describes it,
 *
 *     P a power of two      log2 P rounds of B, where B is at most 32 kB or P = 2; else two rounds each of B/2, B/4 … B/P
 *     else                  the same of the next smaller power, and two rounds of B, in which the surplus hands its array to a neighbour
 *                           and gets it back; or, where B/P is at least 16 kB, 2·(P − 1) rounds of B/P, round a ring
 *
 * Buckets share the link: their
 * bytes follow each other, their latencies overlap. The first can leave when its gradients are there; all must have come before the
 * optimizer's turn.
 */

export interface Link {
  /** One way, between two processes. */
  readonly latencySeconds: number;
  readonly bytesPerSecond: number;
}

export interface TrainedNetwork {
  /** Learned numbers and running statistics, float32. */
  readonly floats: number;
  /** Layers of batch normalization, each of which asks for two small sums with `--sync-batch-norm`. */
  readonly norms: number;
  /** Channels of all of them. */
  readonly normChannels: number;
  /** Of one machine. */
  readonly imagesPerSecond: number;
  /** Share of a step that the backward pass takes. */
  readonly backwardShare: number;
}

/** Of Open MPI over TCP; MPICH's is of the same order. */
const EAGER_BYTES = 64 * 1024;
const SMALL_BYTES = 32 * 1024;
const BUCKET_BYTES = 2 ** 18;

/** Seconds that a sum takes alone. */
export function sumSeconds(bytes: number, machines: number, { latencySeconds, bytesPerSecond }: Link): number {
  if (machines === 1) return 0;
  const ring = (): number => roundsSeconds(2 * (machines - 1), bytes / machines);
  const roundsSeconds = (rounds: number, each: number): number =>
    rounds * (latencySeconds * (each >= EAGER_BYTES ? 3 : 1) + each / bytesPerSecond);
  const doublings = Math.floor(Math.log2(machines));
  const surplus = machines - 2 ** doublings;
  if (surplus > 0 && bytes / machines >= SMALL_BYTES / 2) return ring();
  let seconds = surplus > 0 ? roundsSeconds(2, bytes) : 0;
  if (bytes <= SMALL_BYTES || doublings <= 1) return seconds + roundsSeconds(doublings, bytes);
  for (let step = 1; step <= doublings; step++) seconds += roundsSeconds(2, bytes / 2 ** step);
  return seconds;
}

export interface StepCost {
  readonly computeSeconds: number;
  /** Of all gradients, from the first bucket's departure to the last one's arrival. */
  readonly sumSeconds: number;
  /** What the backward pass does not hide. */
  readonly waitSeconds: number;
  /** Speed of all divided by that of so many machines that work alone. */
  readonly efficiency: number;
}

/** A step in which each machine learns from so many pictures. */
export function stepCost(
  network: TrainedNetwork,
  picturesEach: number,
  machines: number,
  link: Link,
  syncBatchNorm = false,
): StepCost {
  const computeSeconds = picturesEach / network.imagesPerSecond;
  const bytes = 4 * network.floats;
  const last = Math.min(bytes, BUCKET_BYTES);
  const seconds = machines === 1 ? 0 : sumSeconds(bytes, machines, link);
  // The last bucket leaves when the backward pass is over; all others may be there by then.
  const hidden = Math.min(network.backwardShare * computeSeconds, seconds - sumSeconds(last, machines, link));
  const statistics = syncBatchNorm
    ? network.norms * 2 * sumSeconds((16 * network.normChannels) / network.norms, machines, link)
    : 0;
  const waitSeconds = seconds - Math.max(0, hidden) + statistics;
  return {
    computeSeconds,
    sumSeconds: seconds,
    waitSeconds,
    efficiency: computeSeconds / (computeSeconds + waitSeconds),
  };
}

/** The smallest number of pictures for each machine, a power of two, with which so much of the machines' speed is used; null beyond 4096. */
export function picturesThatPay(
  network: TrainedNetwork,
  machines: number,
  link: Link,
  efficiency: number,
): number | null {
  for (let pictures = 1; pictures <= 4096; pictures *= 2) {
    if (stepCost(network, pictures, machines, link).efficiency >= efficiency) return pictures;
  }
  return null;
}
