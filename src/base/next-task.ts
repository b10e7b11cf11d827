/** Lets the event loop run: resolves in a later task, so that messages and timers get their turn in between. */

interface RuntimeGlobals {
  setImmediate?: (callback: () => void) => void;
  scheduler?: { wait?: (delayMs: number) => Promise<void> };
}

/** A message to oneself, which unlike a nested `setTimeout(0)` is not held back for 4 ms. */
export function nextTask(): Promise<void> {
  const { setImmediate, scheduler } = globalThis as RuntimeGlobals;
  // workerd: its messages come before timers and events and would hold those up for as long as the work goes on.
  if (scheduler?.wait !== undefined) return scheduler.wait(0);
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
