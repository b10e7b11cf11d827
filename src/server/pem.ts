/** Key and certificate as Node takes them. */

export interface Pem {
  readonly key: string | Uint8Array;
  readonly cert: string | Uint8Array;
}

export function pemOf(tls: Pem | undefined): { key: Buffer; cert: Buffer } | undefined {
  return tls === undefined ? undefined : { key: Buffer.from(tls.key), cert: Buffer.from(tls.cert) };
}
