/** Reading and writing the bodies of requests: JSON with vectors as arrays, and values as they are. */

import type { SearchHit, Value, VectorData, VectorId } from '../../api/database.ts';
import { shibuDbError } from '../../api/errors.ts';
import { shown } from '../../base/arguments.ts';

/** Of a request's body. Larger loads come in several requests, or over a session. */
const bodyBytesMax = 16 * 1024 * 1024;

/** @throws INVALID_ARGUMENT for a body that is too large */
export async function bodyBytes(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const told = Number(request.headers.get('content-length') ?? 0);
  if (told > bodyBytesMax) throw tooLarge(told);
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (bytes.length > bodyBytesMax) throw tooLarge(bytes.length);
  return bytes;
}

/** The object in a request's body. @throws INVALID_ARGUMENT */
export async function jsonBody(request: Request): Promise<Record<string, unknown>> {
  const text = new TextDecoder().decode(await bodyBytes(request));
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw shibuDbError('INVALID_ARGUMENT', `Got a body that is no JSON: ${(error as Error).message}`);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw shibuDbError('INVALID_ARGUMENT', `Got ${shown(body)} for the body, expected a JSON object`);
  return body as Record<string, unknown>;
}

/** A value to put: bytes when the request says that they are, else text. */
export async function valueBody(request: Request): Promise<Value> {
  const bytes = await bodyBytes(request);
  if (request.headers.get('content-type') === binary) return bytes;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw shibuDbError('INVALID_ARGUMENT', `Got a text that is not UTF-8; bytes are put as ${binary}`);
  }
}

const binary = 'application/octet-stream';

export function valueResponse(value: Value | undefined): Response {
  if (value === undefined) return Response.json({ error: 'There is no such key' }, { status: 404 });
  const type = typeof value === 'string' ? 'text/plain; charset=utf-8' : binary;
  return new Response(value as BodyInit, { headers: { 'content-type': type } });
}

/** JSON, in which a bigint is its digits as text, bytes are base64 as `{ base64 }`, and a vector is an array. */
export function jsonResponse(value: unknown, status = 200): Response {
  const text = JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part === 'bigint') return String(part);
    if (part instanceof Float32Array) return [...part];
    return part instanceof Uint8Array ? { base64: base64(part) } : part;
  });
  return new Response(text, { status, headers: { 'content-type': 'application/json' } });
}

export function hitsResponse(hits: readonly SearchHit<VectorData>[]): Response {
  return jsonResponse({ hits });
}

/** An id in a path, of the space's kind. @throws INVALID_ARGUMENT */
export function idOf(text: string, kind: 'int' | 'string' | undefined): VectorId {
  if (kind !== 'int') return text;
  if (!/^-?\d{1,20}$/.test(text))
    throw shibuDbError('INVALID_ARGUMENT', `Got ${shown(text)} for the id, expected an integer`);
  const exact = BigInt(text);
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
}

/** In pieces: an argument list has its limits. */
function base64(bytes: Uint8Array): string {
  let binaryText = '';
  for (let at = 0; at < bytes.length; at += 8192)
    binaryText += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binaryText);
}

function tooLarge(bytes: number): Error {
  return shibuDbError('INVALID_ARGUMENT', `Got a body of ${bytes} bytes, expected at most ${bodyBytesMax}`);
}
