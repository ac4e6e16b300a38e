/** Whether this process was started by `mpirun` or `srun` with others, told by its environment: nothing is loaded to find out. */

/** The MPIs whose binary interfaces differ; the second is also that of Intel MPI and MVAPICH. */
export const MPI_FAMILIES = ['openmpi', 'mpich'] as const;
export type MpiFamily = (typeof MPI_FAMILIES)[number];

export const FAMILY_TITLES: Readonly<Record<MpiFamily, string>> = { openmpi: 'Open MPI', mpich: 'MPICH' };

export interface Launch {
  readonly rank: number;
  /** Null where the launcher does not say. */
  readonly size: number | null;
  /** Which MPI started it; null where that cannot be told, as under `srun`. */
  readonly family: MpiFamily | null;
}

interface Launcher {
  readonly rank: string;
  readonly sizes: readonly string[];
  readonly family: MpiFamily | null;
}

/** The first that fits. A step of Slurm also sets what its PMI gives, which says no more of the MPI. */
const LAUNCHERS: readonly Launcher[] = [
  { rank: 'OMPI_COMM_WORLD_RANK', sizes: ['OMPI_COMM_WORLD_SIZE'], family: 'openmpi' },
  { rank: 'PMI_RANK', sizes: ['PMI_SIZE', 'SLURM_STEP_NUM_TASKS'], family: 'mpich' },
  { rank: 'PMIX_RANK', sizes: ['SLURM_STEP_NUM_TASKS'], family: null },
];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Null for a process that is alone, also where a launcher started just one. A batch script of Slurm is alone: it has a rank, but only
 * `srun` starts a step of several tasks.
 */
export function launchOf(environment: Environment = process.env): Launch | null {
  const isStep = countOf(environment, 'SLURM_STEP_NUM_TASKS') !== null;
  for (const { rank: name, sizes, family } of LAUNCHERS) {
    const rank = countOf(environment, name);
    if (rank === null) continue;
    const size = sizes.map((size) => countOf(environment, size)).find((count) => count !== null) ?? null;
    if (size === 1) return null;
    return { rank, size, family: isStep && family === 'mpich' ? null : family };
  }
  const [rank, size] = [countOf(environment, 'SLURM_PROCID'), countOf(environment, 'SLURM_STEP_NUM_TASKS')];
  return rank === null || size === null || size === 1 ? null : { rank, size, family: null };
}

/** Whether another process speaks for this one. */
export function isFollower(environment: Environment = process.env): boolean {
  return (launchOf(environment)?.rank ?? 0) > 0;
}

/** Whether it is the first of its machine; false where the launcher does not say. */
export function isFirstOfMachine(environment: Environment = process.env): boolean {
  const names = ['OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID', 'SLURM_LOCALID'];
  return names.map((name) => countOf(environment, name)).find((rank) => rank !== null) === 0;
}

function countOf(environment: Environment, name: string): number | null {
  const text = environment[name];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}
