import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bringCudaFiles, CUDA_PACKAGE } from '../../src/tasks/cuda-files-io.ts';
import { proxyVariables } from '../../src/tasks/proxy-settings-io.ts';
import { zipFile } from '../convert/torch-files.ts';

const NAMES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];
const VERSION = '1.30.0';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-cuda-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A NuGet package as Microsoft's lies: libraries in `runtimes`, the version beside them. */
async function writePackage(name: string, version: string, names = NAMES): Promise<string> {
  const path = join(folder, name);
  const files = names.map((library) => [`runtimes/linux-x64/native/${library}`, `of ${library}`] as const);
  const nuspec = `<package><metadata><version>${version}</version></metadata></package>`;
  const texts = [[`${CUDA_PACKAGE}.nuspec`, nuspec] as const, ...files];
  await writeFile(path, zipFile(texts.map(([file, text]) => [file, Buffer.from(text)] as const)));
  return path;
}

describe('CUDA files that were brought by hand', () => {
  it('come from the package of nuget.org', async () => {
    const target = join(folder, 'bin', 'x64');
    await bringCudaFiles(await writePackage('right.nupkg', VERSION), target, NAMES, VERSION);
    for (const name of NAMES) expect(await readFile(join(target, name), 'utf8')).toBe(`of ${name}`);
  });

  it('or from a folder', async () => {
    const source = join(folder, 'unpacked');
    await mkdir(source);
    for (const name of NAMES) await writeFile(join(source, name), 'bytes');
    const target = join(folder, 'bin2');
    await bringCudaFiles(source, target, NAMES, VERSION);
    expect(await readFile(join(target, NAMES[1]!), 'utf8')).toBe('bytes');
  });

  it.each([
    ['of another version', () => writePackage('old.nupkg', '1.20.1'), 'the package is of onnxruntime 1.20.1'],
    ['without a library', () => writePackage('half.nupkg', VERSION, NAMES.slice(0, 1)), `it has no ${NAMES[1]}`],
    ['that is not there', () => Promise.resolve('/none/x.nupkg'), 'there is no such file'],
    [
      'that is no package',
      async () => {
        const path = join(folder, 'text.nupkg');
        await writeFile(path, '<html>');
        return path;
      },
      'no NuGet package',
    ],
  ])('%s is refused, with where to get the right one', async (_, make, message) => {
    await expect(bringCudaFiles(await make(), join(folder, 'bin3'), NAMES, VERSION)).rejects.toMatchObject({
      message: expect.stringContaining(message) as string,
      hint: expect.stringContaining(`/package/${CUDA_PACKAGE}/${VERSION}`) as string,
    });
  });
});

describe('the proxy of a download', () => {
  const none = () => Promise.resolve(undefined);
  it('is what the environment says, first for global-agent, then for all', async () => {
    expect(await proxyVariables({}, none)).toEqual({});
    expect(await proxyVariables({ https_proxy: 'http://a:1', NO_PROXY: 'b' }, none)).toEqual({
      GLOBAL_AGENT_HTTP_PROXY: 'http://a:1',
      GLOBAL_AGENT_HTTPS_PROXY: 'http://a:1',
      GLOBAL_AGENT_NO_PROXY: 'b',
    });
    const both = { GLOBAL_AGENT_HTTPS_PROXY: 'http://own', HTTPS_PROXY: 'http://all' };
    expect(await proxyVariables(both, none)).toMatchObject({ GLOBAL_AGENT_HTTPS_PROXY: 'http://own' });
  });

  it("else npm's, from its variables or its files", async () => {
    const settings: Record<string, string> = { 'https-proxy': 'http://npm:2', noproxy: 'inside' };
    expect(await proxyVariables({}, (name) => Promise.resolve(settings[name]))).toEqual({
      GLOBAL_AGENT_HTTP_PROXY: 'http://npm:2',
      GLOBAL_AGENT_HTTPS_PROXY: 'http://npm:2',
      GLOBAL_AGENT_NO_PROXY: 'inside',
    });
    const given = { npm_config_https_proxy: 'http://given', npm_config_proxy: 'http://plain', npm_config_noproxy: 'x' };
    expect(await proxyVariables(given)).toEqual({
      GLOBAL_AGENT_HTTP_PROXY: 'http://plain',
      GLOBAL_AGENT_HTTPS_PROXY: 'http://given',
      GLOBAL_AGENT_NO_PROXY: 'x',
    });
  });
});
