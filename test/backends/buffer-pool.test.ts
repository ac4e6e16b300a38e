import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/backends/webgpu/buffer-pool.ts';
import type { GpuBuffer, GpuDevice } from '../../src/backends/webgpu/device.ts';

const USAGE = 0x80;

function createPool(isAwaited?: () => boolean) {
  const destroyed = new Set<GpuBuffer>();
  const createBuffer = ({ size, usage }: { size: number; usage: number }): GpuBuffer => {
    const buffer: GpuBuffer = { size, usage, destroy: () => destroyed.add(buffer) };
    return buffer;
  };
  return { pool: new BufferPool({ createBuffer } as GpuDevice, isAwaited), destroyed };
}

describe('the buffers of a device', () => {
  it('serve the next tensor of their size and usage', () => {
    const { pool } = createPool();
    const a = pool.acquireBuffer(16, USAGE);
    pool.releaseBuffer(a);
    expect(pool.acquireBuffer(32, USAGE)).not.toBe(a);
    expect(pool.acquireBuffer(16, USAGE | 1)).not.toBe(a);
    expect(pool.acquireBuffer(16, USAGE)).toBe(a);
    expect(pool.acquireBuffer(16, USAGE)).not.toBe(a);
    expect([pool.numBytesUsed, pool.numBytesAllocated]).toEqual([80, 80]);
  });

  it('are destroyed where they are for one use', () => {
    const { pool, destroyed } = createPool();
    const a = pool.acquireBuffer(16, USAGE, true, false);
    pool.releaseBuffer(a, false);
    expect(destroyed.has(a)).toBe(true);
    expect(pool.numBytesAllocated).toBe(0);
    expect(() => pool.releaseBuffer(a)).toThrow('not in use');
  });

  it('of a recording serve it alone until it is dropped', () => {
    const { pool } = createPool();
    const outside = pool.acquireBuffer(16, USAGE);
    const reservation = pool.beginReservation();
    const temporary = pool.acquireBuffer(16, USAGE);
    const constant = pool.acquireConstant(16, USAGE);
    pool.reserve(outside, reservation);
    for (const buffer of [temporary, constant, outside]) pool.releaseBuffer(buffer);
    // Written anew each time the commands run, so the recording may use it twice; the others hold what it reads.
    expect(pool.acquireBuffer(16, USAGE)).toBe(temporary);
    const second = pool.acquireBuffer(16, USAGE);
    expect([temporary, constant, outside]).not.toContain(second);
    pool.endReservation();
    pool.releaseBuffer(second);
    const other = pool.acquireBuffer(16, USAGE);
    expect([temporary, constant, outside, second]).not.toContain(other);

    const allocated = pool.numBytesAllocated;
    pool.drop(reservation);
    const free = [1, 2, 3].map(() => pool.acquireBuffer(16, USAGE));
    expect(new Set(free)).toEqual(new Set([constant, outside, second]));
    expect(pool.numBytesAllocated).toBe(allocated);
    // Still in use when the recording was dropped.
    pool.releaseBuffer(temporary);
    expect(pool.acquireBuffer(16, USAGE)).toBe(temporary);
  });

  it('are destroyed, not used again, after a failure of the device', () => {
    const { pool, destroyed } = createPool();
    const [free, used, reserved] = [1, 2, 3].map(() => pool.acquireBuffer(16, USAGE)) as [
      GpuBuffer,
      GpuBuffer,
      GpuBuffer,
    ];
    const reservation = pool.beginReservation();
    pool.reserve(reserved, reservation);
    pool.endReservation();
    pool.releaseBuffer(free);
    pool.releaseBuffer(reserved);
    pool.abandon();
    expect([...destroyed]).toEqual([free]);
    pool.releaseBuffer(used);
    pool.drop(reservation);
    expect([...destroyed]).toEqual([free, used, reserved]);
    expect([pool.numBytesUsed, pool.numBytesAllocated, pool.peakBytes]).toEqual([0, 0, 48]);
    // What comes afterwards is sound.
    const fresh = pool.acquireBuffer(16, USAGE);
    pool.releaseBuffer(fresh);
    expect(pool.acquireBuffer(16, USAGE)).toBe(fresh);
  });

  it('that waiting commands use are destroyed when these were sent', () => {
    let isAwaited = true;
    const { pool, destroyed } = createPool(() => isAwaited);
    pool.releaseBuffer(pool.acquireBuffer(16, USAGE));
    pool.trim();
    expect(destroyed.size).toBe(0);
    isAwaited = false;
    pool.destroyRetired();
    expect(destroyed.size).toBe(1);
  });
});
