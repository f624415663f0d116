import type { ApiApp } from './typebox-provider.ts';

/** Which methods an address takes, learned from the routes as they are added. Must be called before them. */
export function learnMethods(app: ApiApp): (url: string) => string[] {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ method, url }) => {
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });
  return (url) => {
    const path = url.split('?', 1)[0] ?? '';
    return [...methods].flatMap(([pattern, known]) => (matches(pattern, path) ? [...known] : []));
  };
}

function matches(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.at(-1) === '*') return false;
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => (part.startsWith(':') ? given[index] !== '' : part === given[index]))
  );
}
