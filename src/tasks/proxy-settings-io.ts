/** The proxy that npm would use, for programs that know only variables of their own. */

import { runNpm } from '../backends/run-program-io.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A setting of npm: from the variables that it gives to what it starts, else from its files. */
export type NpmSetting = (name: string) => Promise<string | undefined>;

/**
 * Variables for `global-agent`, which the installer of onnxruntime-node uses: it reads neither HTTPS_PROXY nor npm's settings. What
 * is set for it stays.
 */
export async function proxyVariables(
  env: Environment,
  setting: NpmSetting = npmSetting(env),
): Promise<Record<string, string>> {
  const https =
    env['GLOBAL_AGENT_HTTPS_PROXY'] ||
    env['HTTPS_PROXY'] ||
    env['https_proxy'] ||
    (await setting('https-proxy')) ||
    (await setting('proxy'));
  const http =
    env['GLOBAL_AGENT_HTTP_PROXY'] || env['HTTP_PROXY'] || env['http_proxy'] || (await setting('proxy')) || https;
  const none = env['GLOBAL_AGENT_NO_PROXY'] || env['NO_PROXY'] || env['no_proxy'] || (await setting('noproxy'));
  return {
    ...(http ? { GLOBAL_AGENT_HTTP_PROXY: http } : {}),
    ...(https ? { GLOBAL_AGENT_HTTPS_PROXY: https } : {}),
    ...(none && (http || https) ? { GLOBAL_AGENT_NO_PROXY: none } : {}),
  };
}

function npmSetting(env: Environment): NpmSetting {
  return async (name) => {
    const given = env[`npm_config_${name.replaceAll('-', '_')}`];
    if (given) return given;
    const { status, stdout } = await runNpm(['config', 'get', name]).catch(() => ({ status: 1, stdout: '' }));
    const value = stdout.trim();
    return status === 0 && !['', 'null', 'undefined'].includes(value) ? value : undefined;
  };
}
