// GraphQL servers on Node.js as their documentation shows them: `graphql.mjs NAME DATABASE`.
// https://www.apollographql.com/docs/apollo-server/getting-started, https://the-guild.dev/graphql/yoga-server/docs,
// https://mercurius.dev/#/docs/api/options
import { createServer } from 'node:http';
import { GraphQLScalarType } from 'graphql';
import { resolvers as runs, serializeTime, typeDefs } from './runs.mjs';

const resolvers = { ...runs, DateTime: new GraphQLScalarType({ name: 'DateTime', serialize: serializeTime }) };

const servers = {
  async apollo() {
    const { ApolloServer } = await import('@apollo/server');
    const { startStandaloneServer } = await import('@apollo/server/standalone');
    const { url } = await startStandaloneServer(new ApolloServer({ typeDefs, resolvers }), {
      listen: { host: '127.0.0.1', port: 0 },
    });
    return new URL(url).origin;
  },

  async yoga() {
    const { createSchema, createYoga } = await import('graphql-yoga');
    const server = createServer(createYoga({ schema: createSchema({ typeDefs, resolvers }), logging: false }));
    await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
    return `http://127.0.0.1:${server.address().port}`;
  },

  mercurius: () => mercurius({}),

  'mercurius-jit': () => mercurius({ jit: 1 }),
};

async function mercurius(options) {
  const { default: Fastify } = await import('fastify');
  const { default: plugin } = await import('mercurius');
  const app = Fastify();
  app.register(plugin, { schema: typeDefs, resolvers, ...options });
  return app.listen({ host: '127.0.0.1', port: 0 });
}

console.log(await servers[process.argv[2]]());
