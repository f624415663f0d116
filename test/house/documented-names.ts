import { parseDocument } from 'yaml';

/** A name that a document gives, with the page it stands on. */
export interface DocumentedName {
  readonly page: string;
  readonly name: string;
}

const FENCE = /^```(\w*)[^\n]*\n([\s\S]*?)^```/gm;
const HEADING = /^#{1,6} +(.+?) *$/gm;
const KEY = /^([a-z]+(?:\.(?:[a-z][A-Za-z]*|<\w+>|[A-Z]+|\*))+)(?:: .*)?$/;
const VARIABLE = /^LASTCALL_[A-Z_]+$/;

/** The anchors that GitHub gives to a page's headings. */
export function anchorsOf(markdown: string): readonly string[] {
  return [...markdown.replace(FENCE, '').matchAll(HEADING)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Inline code, without code blocks. */
export function spansOf(markdown: string): readonly string[] {
  return [...markdown.replace(FENCE, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) =>
    span.replace(/\s+/g, ' '),
  );
}

/**
 * Configuration keys of a page: in inline code, `sip.udp` or `sip.udp: host:port`, whose first part is one of the sections,
 * and in YAML blocks that configure a site. What the operator chooses (`peers.NAME.sip`, `peers.b.sip`) reads `<name>`.
 */
export function configKeys(page: string, markdown: string, known: readonly string[]): DocumentedName[] {
  const sections = new Set(known.map((key) => key.split('.')[0] ?? ''));
  const inline = spansOf(markdown)
    .flatMap((span) => KEY.exec(span)?.[1] ?? [])
    .filter((key) => sections.has(key.split('.')[0] ?? '') && !key.endsWith('.ts'));
  const blocks = [...markdown.matchAll(FENCE)]
    .filter(([, language]) => language === 'yaml')
    .map(([, , body = '']): unknown => parseDocument(body).toJS())
    .filter(isObject)
    .filter((body) => Object.keys(body).some((key) => sections.has(key)));
  const found = [...inline, ...blocks.flatMap((body) => keysOf(body, '', known))];
  return found.map((name) => ({ page, name: asKnown(name, known) }));
}

/** Environment variables of a page, in inline code. */
export function variables(page: string, markdown: string): DocumentedName[] {
  return spansOf(markdown)
    .filter((span) => VARIABLE.test(span))
    .map((name) => ({ page, name }));
}

function keysOf(body: object, path: string, known: readonly string[]): string[] {
  return Object.entries(body).flatMap(([key, value]: [string, unknown]) => {
    const here = path === '' ? key : `${path}.${key}`;
    const isLeaf = known.includes(asKnown(here, known));
    return isObject(value) && !isLeaf ? keysOf(value, here, known) : [here];
  });
}

/** The key as the schema writes it, with `<name>` or `<n>` for what the operator chooses. */
function asKnown(key: string, known: readonly string[]): string {
  const [first, , ...rest] = key.split('.');
  const chosen = ['<name>', '<n>'].map((part) => [first, part, ...rest].join('.'));
  return chosen.find((each) => known.some((other) => other === each || other.startsWith(`${each}.`))) ?? key;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
