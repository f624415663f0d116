/**
 * G6: what the event loop calls, made unable to end the process. What `run` throws goes to `onFault`; so does what a promise
 * that it returned rejects with.
 */
export function guarded<A extends readonly unknown[]>(
  onFault: (error: unknown) => void,
  run: (...input: A) => unknown,
): (...input: A) => void {
  return (...input) => {
    try {
      const running: unknown = run(...input);
      if (running instanceof Promise) running.catch(onFault);
    } catch (error) {
      onFault(error);
    }
  };
}
