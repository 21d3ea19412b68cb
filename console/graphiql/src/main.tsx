import './workers';
import 'graphiql/style.css';
import './page.css';

import { GraphiQL } from 'graphiql';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { createFetcher } from './fetcher';
import { tabs } from './tabs';

// The page stands beside the endpoint, wherever a proxy mounts them.
const fetcher = createFetcher(new URL('graphql', location.href));

// GraphiQL fills its first tab's editors from what a former visit stored, and only then from the tab itself.
const stored = (key: string) => localStorage.getItem(`graphiql:${key}`);

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <GraphiQL
      fetcher={fetcher}
      defaultTabs={tabs}
      initialQuery={stored('query') ?? tabs[0]?.query}
      initialVariables={stored('variables') ?? tabs[0]?.variables}
      defaultEditorToolsVisibility="variables"
    >
      <GraphiQL.Logo>
        <span className="mgx-logo">mgx-graph</span>
      </GraphiQL.Logo>
    </GraphiQL>
  </StrictMode>,
);
