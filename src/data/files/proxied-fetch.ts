/** Fetching through the proxy that the environment names: Node's own `fetch` knows of none before version 24. */

function variable(name: string): string | undefined {
  return process.env[name] || process.env[name.toLowerCase()] || undefined;
}

/** `fetch`, or one that goes through HTTPS_PROXY or HTTP_PROXY where they are set, except to the hosts of NO_PROXY. */
export async function proxiedFetch(): Promise<typeof fetch> {
  const [httpProxy, httpsProxy, noProxy] = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].map(variable);
  if (httpProxy === undefined && httpsProxy === undefined) return fetch;
  const undici = await import('undici');
  // Empty: none for this protocol.
  const settings = { httpProxy: httpProxy ?? '', httpsProxy: httpsProxy ?? '', noProxy: noProxy ?? '' };
  const dispatcher = quietly(() => new undici.EnvHttpProxyAgent(settings));
  const proxied = (url: string, options: object): Promise<unknown> => undici.fetch(url, { ...options, dispatcher });
  // Its types are those of its own release, its objects those of the standard.
  return proxied as unknown as typeof fetch;
}

/** The agent warns on stderr that undici may change it; the lock file pins it. */
function quietly<T>(create: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return create();
  } finally {
    process.emitWarning = emitWarning;
  }
}
