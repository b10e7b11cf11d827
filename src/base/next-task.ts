/** Lets the event loop run: resolves in a later task, so that messages and timers get their turn in between. */

interface SchedulerLike {
  yield?: () => Promise<void>;
}
interface RuntimeGlobals {
  scheduler?: SchedulerLike;
  setImmediate?: (callback: () => void) => void;
}

/** A message to oneself, which unlike a nested `setTimeout(0)` is not held back for 4 ms. */
export function nextTask(): Promise<void> {
  const { setImmediate } = globalThis as RuntimeGlobals;
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
