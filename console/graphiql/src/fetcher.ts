import type { Fetcher, FetcherParams, Observable } from '@graphiql/toolkit';
import { type ExecutionResult, GraphQLError, getOperationAST, type OperationDefinitionNode, parse } from 'graphql';
import { createClient } from 'graphql-ws';

import { EventList } from './event-list';

type Headers = Record<string, string>;

/** GraphiQL's response pane: what it is given, it prints. */
interface Pane {
  next: (value: object) => void;
  complete: () => void;
}

/** Queries and mutations by POST, subscriptions by graphql-transport-ws, all on one endpoint. */
export function createFetcher(endpoint: URL): Fetcher {
  return (request, options) => {
    const headers: Headers = options?.headers ?? {};
    const operation = findOperation(request);
    const named = { ...request, operationName: operation?.name?.value };
    return operation?.operation === 'subscription' ? subscribe(endpoint, named, headers) : post(endpoint, named, headers);
  };
}

/**
 * The operation that a request's text asks for; none if the text can't be read or leaves it open, which the
 * server then says.
 *
 * GraphiQL's own document and operation name follow its editor a tenth of a second later: who changes the tab and
 * runs at once would send the last tab's name, and a mutation by the last tab's way.
 */
function findOperation({ query, operationName }: FetcherParams): OperationDefinitionNode | undefined {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? undefined;
  } catch (error) {
    if (error instanceof GraphQLError) {
      return undefined;
    }
    throw error;
  }
}

async function post(endpoint: URL, request: FetcherParams, headers: Headers) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json;q=0.9',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(request),
  });
  if (!response.headers.get('content-type')?.includes('json')) {
    throw new Error(`${endpoint} answered ${response.status} ${response.statusText} and no JSON`);
  }
  return response.json();
}

function subscribe(endpoint: URL, request: FetcherParams, headers: Headers) {
  const url = new URL(endpoint);
  url.protocol = endpoint.protocol === 'https:' ? 'wss:' : 'ws:';
  // A retry would send the first variables again and repeat events: a cut is shown, and the reader goes on by "after".
  const client = createClient({ url: url.href, connectionParams: headers, retryAttempts: 0 });

  const observable = {
    subscribe(pane: Pane) {
      const list = new EventList(pane.next);
      const end = (how: string, errors?: unknown) => {
        list.end(how, errors);
        pane.complete();
      };
      const dispose = client.subscribe(request, {
        next: (answer) => list.add(answer),
        complete: () => end('complete'),
        error: (reason) => end(...describe(reason)),
      });
      const unsubscribe = () => {
        list.end('stopped here');
        dispose();
      };
      return { unsubscribe };
    },
  };
  return observable as Observable<ExecutionResult>;
}

function describe(reason: unknown): [how: string, errors?: unknown] {
  if (reason instanceof CloseEvent) {
    return [`closed by the server: ${reason.code} ${reason.reason}`.trim()];
  }
  return ['refused', reason instanceof Error ? [{ message: reason.message }] : reason];
}
