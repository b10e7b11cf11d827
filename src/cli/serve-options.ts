/** What `shibumi serve` can be told. Apart from the command, which loads the server. */

export const serveOptions = {
  host: { type: 'string' },
  port: { type: 'string' },
  origin: { type: 'string', multiple: true },
  'tls-key': { type: 'string' },
  'tls-cert': { type: 'string' },
  connections: { type: 'string' },
  'calls-per-second': { type: 'string' },
  resp: { type: 'string' },
  'resp-space': { type: 'string', multiple: true },
  shibudb: { type: 'string' },
  nubdb: { type: 'string' },
  'nubdb-space': { type: 'string' },
  upstream: { type: 'string' },
  config: { type: 'string' },
  guest: { type: 'string' },
} as const;
