/** A URL without its password, for people and logs; any other text as it is. */
export const withoutPassword = (text: string): string =>
  text.replace(/^([a-z][a-z0-9+]*:\/\/[^:/@\s]*):\S*@/i, '$1@');
