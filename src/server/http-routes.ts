/**
 * What the server answers over plain HTTP, on the port of the WebSocket:
 *
 *   GET  /health    whether it serves; for anybody
 *   GET  /metrics   for Prometheus; from this machine, or with an admin's name and password
 *   POST /ticket    a one-use ticket for a WebSocket, with a user's name and password
 *   GET  /limit     { "limit": n }: how many connections there may be; PUT sets it; with an admin's name and password
 *
 * Names and passwords come as Basic authentication. Pages of the allowed origins may ask for tickets.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SignedIn } from '../api/calls.ts';
import { isShibuDbError, shibuDbError } from '../api/errors.ts';
import type { Admission } from '../host/admission.ts';
import type { Source } from '../host/source.ts';
import type { Metrics } from './metrics.ts';
import { addressOf, isLoopback } from './peer-address.ts';
import { type Tickets, ticketLifeMs } from './tickets.ts';

export interface Routes {
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly tickets: Tickets;
  readonly source: Source;
  readonly origins: ReadonlySet<string>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

const bodyBytesMax = 4096;

export async function answerRequest(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, body, headers } = await answerOf(routes, request).catch(asAnswer);
  response.writeHead(status, {
    'content-type':
      typeof body === 'string' ? 'text/plain; version=0.0.4; charset=utf-8' : 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...corsHeaders(routes, request),
    ...headers,
  });
  response.end(typeof body === 'string' ? body : `${JSON.stringify(body)}\n`);
}

async function answerOf(routes: Routes, request: IncomingMessage): Promise<Answer> {
  const [path] = (request.url ?? '/').split('?');
  if (request.method === 'OPTIONS') return { status: 204, body: '' };
  switch (`${request.method} ${path}`) {
    case 'GET /health':
      return { status: 200, body: { status: 'ok', storage: routes.source.kind } };
    case 'GET /metrics':
      if (!isLoopback(addressOf(request.socket))) await signIn(routes, request, 'admin');
      return { status: 200, body: routes.metrics.text() };
    case 'POST /ticket': {
      const { token } = await signIn(routes, request);
      return { status: 200, body: { ticket: routes.tickets.issue(token), expiresInMs: ticketLifeMs } };
    }
    case 'GET /limit':
      await signIn(routes, request, 'admin');
      return { status: 200, body: limitOf(routes) };
    case 'PUT /limit': {
      await signIn(routes, request, 'admin');
      const { limit } = JSON.parse(await bodyOf(request)) as { limit?: unknown };
      routes.admission.connectionsMax = limit as number;
      return { status: 200, body: limitOf(routes) };
    }
    default:
      return { status: 404, body: { error: 'There is nothing here' } };
  }
}

function limitOf({ admission }: Routes): object {
  return { limit: admission.connectionsMax, connections: admission.connections };
}

/** @throws INVALID_CREDENTIALS, PERMISSION_DENIED, RATE_LIMITED */
async function signIn(routes: Routes, request: IncomingMessage, role?: 'admin'): Promise<SignedIn> {
  const [, encoded = ''] = /^Basic ([\w+/=-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
  const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  if (username === undefined || password === undefined)
    throw shibuDbError('NOT_AUTHENTICATED', 'Expected a name and a password by Basic authentication');
  routes.admission.login(addressOf(request.socket));
  const session = routes.source.openSession();
  try {
    const signedIn = (await session.call('authenticate', { username, password } as never, {})) as SignedIn;
    if (role !== undefined && signedIn.user.role !== role)
      throw shibuDbError('PERMISSION_DENIED', 'This is for admins');
    return signedIn;
  } finally {
    await session.call('close', {} as never, {});
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax)
      throw shibuDbError('INVALID_ARGUMENT', `Got a body of more than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function corsHeaders({ origins }: Routes, { headers: { origin } }: IncomingMessage): Record<string, string> {
  if (origin === undefined || !origins.has(origin)) return {};
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-headers': 'authorization, content-type',
    'access-control-allow-methods': 'GET, POST, PUT',
    vary: 'origin',
  };
}

const statusOf: Readonly<Record<string, number>> = {
  NOT_AUTHENTICATED: 401,
  INVALID_CREDENTIALS: 401,
  NO_USERS: 401,
  PERMISSION_DENIED: 403,
  RATE_LIMITED: 429,
  TOO_MANY_ATTEMPTS: 429,
  INVALID_ARGUMENT: 400,
};

function asAnswer(error: unknown): Answer {
  if (error instanceof SyntaxError) return { status: 400, body: { error: 'The body is no JSON' } };
  if (!isShibuDbError(error)) return { status: 500, body: { error: 'The server failed' } };
  const status = statusOf[error.code] ?? 500;
  const headers = status === 401 ? { 'www-authenticate': 'Basic realm="shibumi"' } : {};
  return { status, body: { error: error.message, code: error.code }, headers };
}
