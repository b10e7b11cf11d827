/** Lets a program end although the timer is still waiting, where the runtime counts them (Node, Bun). */
export function unref<Timer extends ReturnType<typeof setTimeout>>(timer: Timer): Timer {
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
