/**
 * One-use tickets: a page logs in over HTTP, where it can send a header, and opens its WebSocket with the ticket it got. A
 * ticket that leaks in a log or an address is worth nothing: it is gone with its use, and after seconds anyway.
 */

import { randomBytes } from 'node:crypto';

export const ticketLifeMs = 30_000;
/** Past this many the oldest go: whoever makes tickets in masses hurts only those that make tickets in masses. */
const ticketsMax = 10_000;

export class Tickets {
  readonly #userTokens: Map<string, { readonly userToken: string; readonly expiresAt: number }> = new Map();

  /** @param userToken what `authenticate` answered: signs the user in again */
  issue(userToken: string): string {
    const now = Date.now();
    for (const [ticket, { expiresAt }] of this.#userTokens) {
      if (expiresAt > now && this.#userTokens.size < ticketsMax) break;
      this.#userTokens.delete(ticket);
    }
    const ticket = randomBytes(24).toString('base64url');
    this.#userTokens.set(ticket, { userToken, expiresAt: now + ticketLifeMs });
    return ticket;
  }

  /** Uses a ticket up. */
  redeem(ticket: string): string | undefined {
    const found = this.#userTokens.get(ticket);
    this.#userTokens.delete(ticket);
    return found !== undefined && found.expiresAt > Date.now() ? found.userToken : undefined;
  }
}
