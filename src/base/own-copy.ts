/**
 * Copies of what a caller passed: it is the caller's again as soon as the call returns, so whatever is read later is copied first.
 * Not `structuredClone`: that copies the whole buffer of a view.
 */

const sliceOf = Uint8Array.prototype.slice;

/** As deep as it is. What is neither an array, a view nor a plain object is left as it is, for whoever sends it to refuse. */
export function ownCopy<Value>(value: Value, copies: Map<object, unknown> = new Map()): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return copyOfView(value);
  const known = copies.get(value);
  if (known !== undefined) return known as Value;
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    copies.set(value, copy);
    for (const item of value) copy.push(ownCopy(item, copies));
    return copy as Value;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy: Record<string, unknown> = {};
  copies.set(value, copy);
  for (const [name, item] of Object.entries(value)) {
    const own = ownCopy(item, copies);
    // The one name that assigning takes for something else.
    if (name === '__proto__')
      Object.defineProperty(copy, name, { value: own, enumerable: true, configurable: true, writable: true });
    else copy[name] = own;
  }
  return copy as Value;
}

/** The same arguments; views that are a part of a larger buffer, with which they would travel, are cut out of it. */
export function withoutTheRest<Args extends object>(args: Args): Args {
  const parts = Object.entries(args).filter(
    ([, value]) => ArrayBuffer.isView(value) && value.byteLength < value.buffer.byteLength,
  );
  if (parts.length === 0) return args;
  return { ...args, ...Object.fromEntries(parts.map(([name, view]) => [name, copyOfView(view)])) };
}

/** Not by the view's own `slice`, which for some (Node's `Buffer`) is another view. One whose buffer is gone has no length. */
function copyOfView<View extends ArrayBufferView>(view: View): View {
  return view instanceof DataView || view.byteLength === 0 ? view : (sliceOf.call(view) as unknown as View);
}
