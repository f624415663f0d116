import type { Notice } from '../../shared/domain/alert.ts';

/** What a notice is about: `a > b`, or `site a`. */
export const noticeSubject = ({ from, site, to }: Notice): string =>
  from && to ? `${from} > ${to}` : `site ${site}`;
