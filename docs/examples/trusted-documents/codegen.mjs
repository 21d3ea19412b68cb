export default {
  schema: "../../../schema.graphql",
  documents: "operations.graphql",
  generates: {
    "gql/": {
      preset: "client",
      presetConfig: { persistedDocuments: { hashAlgorithm: "sha256" } },
      config: { useTypeImports: true },
    },
  },
};
