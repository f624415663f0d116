import { render } from 'preact';
import { App } from './app.tsx';

const place = document.getElementById('console');
if (place) render(<App />, place);

// A log-in link that is opened in this tab changes the fragment only.
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#login=')) location.reload();
});
