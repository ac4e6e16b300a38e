import { describe, expect, it } from 'vitest';
import { isFirstOfMachine, isFollower, launchOf } from '../../src/distributed/launcher.ts';
import { joinProcesses } from '../../src/distributed/mpi-communicator.ts';

describe('launchOf', () => {
  it.each([
    ['no launcher', {}, null],
    ['Open MPI', { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4' }, { rank: 1, size: 4, family: 'openmpi' }],
    ['one process of Open MPI', { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '1' }, null],
    ['MPICH', { PMI_RANK: '0', PMI_SIZE: '2' }, { rank: 0, size: 2, family: 'mpich' }],
    [
      'a batch script of Slurm',
      { SLURM_PROCID: '0', SLURM_NTASKS: '8', SLURM_NPROCS: '8', SLURM_JOB_ID: '7', SLURM_LOCALID: '0' },
      null,
    ],
    [
      'srun --mpi=none',
      { SLURM_PROCID: '3', SLURM_NTASKS: '8', SLURM_STEP_NUM_TASKS: '8' },
      { rank: 3, size: 8, family: null },
    ],
    [
      'srun --mpi=pmi2',
      { PMI_RANK: '2', PMI_SIZE: '8', SLURM_PROCID: '2', SLURM_STEP_NUM_TASKS: '8' },
      { rank: 2, size: 8, family: null },
    ],
    [
      'srun --mpi=pmix',
      { PMIX_RANK: '5', SLURM_PROCID: '5', SLURM_STEP_NUM_TASKS: '8' },
      { rank: 5, size: 8, family: null },
    ],
    ['what is no number', { PMI_RANK: 'first' }, null],
  ])('%s', (_, environment, launch) => {
    expect(launchOf(environment)).toEqual(launch);
    expect(isFollower(environment)).toBe((launch?.rank ?? 0) > 0);
  });

  it('knows the first process of a machine', () => {
    expect(isFirstOfMachine({ OMPI_COMM_WORLD_LOCAL_RANK: '0' })).toBe(true);
    expect(isFirstOfMachine({ MPI_LOCALRANKID: '1' })).toBe(false);
    expect(isFirstOfMachine({})).toBe(false);
  });
});

it('without a launcher there is nobody to join, and nothing is loaded', () => {
  const before = Object.keys(process.env).filter((name) => /^(OMPI|PMI|PMIX|SLURM)_/.test(name));
  expect(before).toEqual([]);
  expect(joinProcesses()).toBeNull();
});
