const ON_SECONDS = 1;
const PERIOD_MS = 3_000;

/** Rings until the function it returns is called. A browser that has not been touched yet stays silent. */
export function startRinging(): () => void {
  const context = new AudioContext();
  const ring = (): void => {
    const volume = context.createGain();
    volume.gain.value = 0.05;
    volume.connect(context.destination);
    for (const frequency of [440, 480]) {
      const tone = context.createOscillator();
      tone.frequency.value = frequency;
      tone.connect(volume);
      tone.start();
      tone.stop(context.currentTime + ON_SECONDS);
    }
  };
  ring();
  const timer = setInterval(ring, PERIOD_MS);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
