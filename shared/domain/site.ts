/** A site's name as it stands in table names: `lastcalls_<site>`. Lower-case letter first, then letters, digits, `_`; at most 16. */
export type SiteId = string & { readonly brand: 'SiteId' };

const SITE_ID = /^[a-z][a-z0-9_]{0,15}$/;
export const SITE_ID_FORM =
  'a lower-case letter, then letters, digits or _, at most 16, none of all, template, by_site, freshest';
/** `lastcalls_all` and its like are not a site's tables. */
const TAKEN = ['all', 'template', 'by_site', 'freshest'];

export function isSiteId(text: string): text is SiteId {
  return SITE_ID.test(text) && !TAKEN.includes(text);
}

/** Throws `TypeError` saying the expected form; use {@link isSiteId} where the text comes from a user. */
export function siteId(text: string): SiteId {
  if (!isSiteId(text))
    throw new TypeError(
      `site must match ${SITE_ID.source} and be none of ${TAKEN.join(', ')}, got ${JSON.stringify(text)}`,
    );
  return text;
}
