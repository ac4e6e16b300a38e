/** How `bnn-bench train --profile` shows the commands of a step on a device with a clock. */

import type { TimedCommand } from '../../backends/step-recorder.ts';
import { formatPercent, threeDigits } from '../../report/format.ts';
import { columns, formatTable } from '../../report/table.ts';
import type { DeviceProfile } from '../../tasks/bench-train.ts';

/** Commands of one kind or of one layer. */
export interface CommandGroup {
  readonly name: string;
  readonly count: number;
  readonly ms: number;
  readonly bytes: number;
  readonly multiplyAdds: number;
  /** What the device would need at its measured peaks, for its bytes or its multiply-adds, whichever takes longer; null without peaks. */
  readonly leastMs: number | null;
}

export interface CommandSummary {
  readonly ms: number;
  readonly commands: number;
  readonly peakGflops: number | null;
  readonly peakGBs: number | null;
  /** The costliest first. */
  readonly kernels: readonly CommandGroup[];
  readonly layers: readonly CommandGroup[];
}

export function summarizeCommands({ commands, peakGflops, peakGBs }: DeviceProfile): CommandSummary {
  const least = ({ bytes, multiplyAdds }: TimedCommand): number | null => {
    if (peakGBs === null) return null;
    return Math.max(bytes / peakGBs / 1e6, peakGflops === null ? 0 : (2 * multiplyAdds) / peakGflops / 1e6);
  };
  const groupBy = (nameOf: (command: TimedCommand) => string): CommandGroup[] => {
    const groups = new Map<string, CommandGroup>();
    for (const command of commands) {
      const name = nameOf(command);
      const { count, ms, bytes, multiplyAdds, leastMs } = groups.get(name) ?? EMPTY;
      const own = least(command);
      groups.set(name, {
        name,
        count: count + 1,
        ms: ms + command.ms,
        bytes: bytes + command.bytes,
        multiplyAdds: multiplyAdds + command.multiplyAdds,
        leastMs: own === null || leastMs === null ? null : leastMs + own,
      });
    }
    return [...groups.values()].sort((a, b) => b.ms - a.ms);
  };
  return {
    ms: commands.reduce((sum, { ms }) => sum + ms, 0),
    commands: commands.length,
    peakGflops,
    peakGBs,
    kernels: groupBy(({ label }) => label),
    layers: groupBy(({ scope }) => scope || 'other'),
  };
}

const EMPTY: CommandGroup = { name: '', count: 0, ms: 0, bytes: 0, multiplyAdds: 0, leastMs: 0 };

const NUMBERS = ['calls', 'ms', 'share', 'MB', 'G multiply-adds', 'least ms'];

export function formatDeviceProfile(profile: DeviceProfile): string {
  const summary = summarizeCommands(profile);
  const { ms, commands, peakGflops, peakGBs } = summary;
  const table = (title: string, groups: readonly CommandGroup[]): string =>
    formatTable(
      columns([title], NUMBERS),
      groups.map(({ name, count, ms: own, bytes, multiplyAdds, leastMs }) => [
        name,
        String(count),
        own.toFixed(3),
        formatPercent(own / ms, 1),
        (bytes / 1e6).toFixed(1),
        multiplyAdds === 0 ? '' : (multiplyAdds / 1e9).toFixed(2),
        leastMs === null ? '-' : leastMs.toFixed(3),
      ]),
    );
  const peaks = [
    ...(peakGflops === null ? [] : [`${threeDigits(peakGflops)} Gflop/s in registers`]),
    ...(peakGBs === null ? [] : [`${threeDigits(peakGBs)} GB/s of memory`]),
  ];
  return `${commands} commands of a step, each alone: ${ms.toFixed(2)} ms
measured peaks of the device: ${peaks.join(', ') || 'none'}; "least ms" is what they allow

${table('kernel', summary.kernels)}

${table('layer', summary.layers)}`;
}
