import { render } from 'preact';
import type { ApiDocument } from './document.ts';
import { Reference } from './page.tsx';

const place = document.getElementById('reference');
const answer = await fetch('../v1/openapi.json');
if (place) render(<Reference document={(await answer.json()) as ApiDocument} />, place);
// The address named a place before there was one.
if (location.hash !== '')
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
