/**
 * The REST front of an object: each request is one call of a `Database`, by whoever the request says. JSON in and out; the
 * values of keys travel as they are.
 *
 *   GET    /health                              whether it answers; for anybody
 *   POST   /login                               { username, password } -> { token, user }
 *   …                                           routes.ts
 *
 * Authentication: `Authorization: Bearer <token>` of a login, or Basic with name and password, which costs a hash a request.
 */

import type { ArgumentsOf, SignedIn } from '../../api/calls.ts';
import type { Database } from '../../api/database.ts';
import { isShibuDbError, shibuDbError } from '../../api/errors.ts';
import { httpStatusOf } from '../../api/http-status.ts';
import { DatabaseClient } from '../../client/database-client.ts';
import type { Session } from '../../engine/session.ts';
import { DirectTransport } from '../../local/direct-transport.ts';
import { jsonBody } from './body.ts';
import { routes } from './routes.ts';

/**
 * @param session for this request alone
 * @param admit throws while nobody may use the database
 */
export async function answerRest(
  request: Request,
  session: Pick<Session, 'call'>,
  admit: () => void,
): Promise<Response> {
  try {
    const { pathname, searchParams } = new URL(request.url);
    const path = pathname.split('/').slice(1).map(decodePart);
    if (request.method === 'GET' && pathname === '/health') return Response.json({ status: 'ok' });
    admit();
    if (request.method === 'POST' && pathname === '/login') {
      const { username, password } = await jsonBody(request);
      return Response.json(await authenticate(session, username, password));
    }
    await signIn(request, session);
    const db = new DatabaseClient(new DirectTransport(session));
    return await route(request, path, searchParams, db);
  } catch (error) {
    return failure(error);
  }
}

async function route(
  request: Request,
  path: string[],
  query: URLSearchParams,
  db: Database,
): Promise<Response> {
  const here = routes.filter(({ pattern }) => matches(pattern, path));
  const found = here.find(({ method }) => method === request.method);
  if (found !== undefined) return found.answer({ request, path, query, db });
  if (here.length === 0) return Response.json({ error: 'There is nothing here' }, { status: 404 });
  const allow = here.map(({ method }) => method).join(', ');
  return Response.json(
    { error: `Got ${request.method}, expected ${allow}` },
    { status: 405, headers: { allow } },
  );
}

/** A pattern's `:part` stands for any text. */
function matches(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.length === path.length && pattern.every((part, i) => part[0] === ':' || part === path[i]);
}

/** @throws INVALID_ARGUMENT */
function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw shibuDbError('INVALID_ARGUMENT', `Got "${part}" in the path, expected percent-encoded UTF-8`);
  }
}

/** @throws NOT_AUTHENTICATED, INVALID_CREDENTIALS, TOO_MANY_ATTEMPTS */
async function signIn(request: Request, session: Pick<Session, 'call'>): Promise<void> {
  const [, scheme = '', value = ''] =
    /^(\w+) ([\w.+/=-]+)$/.exec(request.headers.get('authorization') ?? '') ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer':
      await session.call('resumeSession', { token: value }, {});
      return;
    case 'basic': {
      const bytes = Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
      const [, username = '', password = ''] = /^([^:]*):(.*)$/s.exec(new TextDecoder().decode(bytes)) ?? [];
      await authenticate(session, username, password);
      return;
    }
    default:
      throw shibuDbError(
        'NOT_AUTHENTICATED',
        'Expected the header Authorization: Bearer with a token of POST /login, or Basic',
      );
  }
}

async function authenticate(
  session: Pick<Session, 'call'>,
  username: unknown,
  password: unknown,
): Promise<SignedIn> {
  return session.call('authenticate', { username, password } as ArgumentsOf<'authenticate'>, {});
}

function failure(error: unknown): Response {
  if (!isShibuDbError(error)) {
    const reason = error instanceof Error ? error.message : String(error);
    return Response.json({ error: `The object failed: ${reason}`, code: 'INTERNAL' }, { status: 500 });
  }
  const { code, message, details } = error;
  const status = httpStatusOf(code);
  const headers = status === 401 ? { 'www-authenticate': 'Basic realm="shibumi"' } : {};
  return Response.json({ error: message, code, details }, { status, headers });
}
