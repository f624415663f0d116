import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useDesk } from './context.ts';
import { IncomingCalls } from './phone/incoming-calls.tsx';
import { type Route, VIEWS, type ViewName } from './routes.ts';

interface ShellProps {
  readonly route: Route;
  readonly onLogOut: () => void;
  readonly children: ComponentChildren;
}

/** The frame round every view: the menu, what is wrong with the connection, calls that ring. */
export function Shell({ children, onLogOut, route }: ShellProps) {
  const { info, live } = useDesk();
  const heading = useRef<HTMLHeadingElement>(null);
  const { title } = VIEWS[route.view];
  const open = live.alerts?.open.length ?? 0;
  const firstView = useRef(true);
  // With the drawing, not after the paint: a Tab in between would start from the menu.
  useLayoutEffect(() => {
    document.title = `${title} · Lastcall site ${info.site}`;
    if (!firstView.current) heading.current?.focus();
    firstView.current = false;
  }, [title, info.site]);
  return (
    <>
      <button type="button" class="skip" onClick={() => heading.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <p class="brand">
          <img src="icon.svg" alt="" width="28" height="28" /> Lastcall{' '}
          <span class="site">site {info.site}</span>
        </p>
        <nav aria-label="Views">
          {(Object.keys(VIEWS) as ViewName[]).map((view) => (
            <a key={view} href={`#/${view}`} aria-current={view === route.view ? 'page' : undefined}>
              {VIEWS[view].title}
              {view === 'alerts' && open > 0 && (
                <span class="count" aria-hidden="true">
                  {open}
                </span>
              )}
            </a>
          ))}
        </nav>
        <button type="button" class="quiet" onClick={onLogOut}>
          Log out
        </button>
      </header>
      <IncomingCalls />
      <p class="connection" role="status">
        {live.fault && `No fresh news: ${live.fault}. What you see is from before.`}
      </p>
      <main id="content">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {children}
      </main>
      <footer class="foot">
        All of this is in the <a href="reference.html">REST API</a> too.
      </footer>
    </>
  );
}
