/** Where a connection comes from. */

import type { Socket } from 'node:net';

/** The peer's address; one that is written as IPv6 but is IPv4 counts as the latter. */
export function addressOf({ remoteAddress }: Pick<Socket, 'remoteAddress'>): string {
  return (remoteAddress ?? 'unknown').replace(/^::ffff:/, '');
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
