import { defineConfig } from 'vitest/config';

/** `house` and `unit` need nothing but Node; `real` starts PostgreSQL, Redis and SIP peers, so few files run at a time. */
export default defineConfig({
  test: {
    teardownTimeout: 30_000,
    projects: [
      { test: { name: 'house', include: ['test/house/**/*.test.ts'], sequence: { groupOrder: 0 } } },
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 1 } } },
      {
        test: {
          name: 'real',
          include: ['test/{pg,redis,sip,sites,faults,web}/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: 2,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
