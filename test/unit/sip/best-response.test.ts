import { expect, it } from 'vitest';
import { bestResponse } from '../../../shared/sip/proxy/best-response.ts';

it.each([
  [[503, 500], 500],
  [[503, 504], 504],
  [[503, 408], 408],
  [[503, 302], 302],
  [[503, 603], 603],
  [[503, 503], 503],
  [[486, 407], 407],
  [[408, 486], 486],
  [[404, 302], 302],
])('F11 of %j goes upstream %d (RFC 3261 16.7 item 6)', (statuses, expected) => {
  const results = statuses.map((status) => ({ status, response: undefined, target: null }));
  expect(bestResponse(results)?.status).toBe(expected);
  expect(bestResponse(results.toReversed())?.status).toBe(expected);
});

it.each([
  [480, 486],
  [404, 486],
  [407, 480],
  [480, 500],
])(
  'F11 what a site without the callee says (%d) never hides the answer of the phone (%d)',
  (absent, answer) => {
    const results = [
      { status: absent, response: undefined, target: null, isAbsence: true },
      { status: answer, response: undefined, target: null },
    ];
    expect(bestResponse(results)?.status).toBe(answer);
    expect(bestResponse(results.toReversed())?.status).toBe(answer);
  },
);
