import type { ComponentType } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';
import type { ViewProps } from './view-props.ts';
import { Alerts } from './views/alerts.tsx';
import { Failovers } from './views/failovers.tsx';
import { LookUp } from './views/look-up.tsx';
import { Overview } from './views/overview.tsx';
import { Phones } from './views/phones.tsx';
import { RecordOf } from './views/record.tsx';
import { ReplicationView } from './views/replication.tsx';
import { Terminals } from './views/terminals.tsx';

interface View {
  readonly title: string;
  readonly component: ComponentType<ViewProps>;
}

/** In the order of the menu. */
export const VIEWS = {
  overview: { title: 'Overview', component: Overview },
  replication: { title: 'Replication', component: ReplicationView },
  failovers: { title: 'Failovers', component: Failovers },
  alerts: { title: 'Alerts', component: Alerts },
  terminals: { title: 'Terminals', component: Terminals },
  lookup: { title: 'Look up', component: LookUp },
  phone: { title: 'Phone', component: Phones },
  record: { title: 'Bans and log', component: RecordOf },
} as const satisfies Record<string, View>;

export type ViewName = keyof typeof VIEWS;

export interface Route extends ViewProps {
  readonly view: ViewName;
}

/** `#/terminals/5` */
export function useRoute(): Route {
  const [route, setRoute] = useState(readRoute);
  // A menu that can be seen can be used: an address that changes before the paint is not missed.
  useLayoutEffect(() => {
    const follow = (): void => setRoute(readRoute());
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}

function readRoute(): Route {
  const [, view = '', argument = ''] = /^#\/(\w+)(?:\/([\w%.:@+*-]+))?/.exec(location.hash) ?? [];
  const isKnown = Object.hasOwn(VIEWS, view);
  return {
    view: isKnown ? (view as ViewName) : 'overview',
    argument: isKnown && argument !== '' ? decodeURIComponent(argument) : null,
  };
}
