import { createHash } from 'node:crypto';

import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    outDir: '../../graph/static/graphiql',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
    // Monaco is one piece; splitting it further would only add requests.
    chunkSizeWarningLimit: 5000,
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
  worker: { format: 'es', plugins: () => [defaultsAreOptional()] },
  experimental: {
    // The page is graphiql, without a slash, so its own links start in the folder above.
    renderBuiltUrl: (filename, { hostType }) => (hostType === 'html' ? `graphiql/${filename}` : { relative: true }),
  },
  plugins: [defaultsAreOptional(), monacoStylesOnce(), fontFiles()],
});

/** Lets variables leave out input fields that have a default; graphql-language-service 5.7.0 underlines them in red. */
function defaultsAreOptional() {
  return {
    name: 'defaults-are-optional',
    transform(code, id) {
      if (!id.endsWith('/getVariablesJSONSchema.js')) {
        return null;
      }
      const mended = code.replace('if (fieldRequired)', 'if (fieldRequired && field.defaultValue === undefined)');
      if (mended === code) {
        this.error('graphql-language-service has changed: look whether this plugin is still needed');
      }
      return { code: mended, map: null };
    },
  };
}

/** Leaves out Monaco's own style sheets: graphiql/style.css holds the same rules. */
function monacoStylesOnce() {
  const empty = '\0empty';
  return {
    name: 'monaco-styles-once',
    enforce: 'pre',
    resolveId: (source, importer) =>
      source.endsWith('.css') && importer?.includes('/node_modules/monaco-editor/') ? empty : null,
    load: (id) => (id === empty ? '' : null),
  };
}

/** Moves fonts out of data: URLs, which the page's content security policy refuses, into files. */
function fontFiles() {
  return {
    name: 'font-files',
    enforce: 'post',
    generateBundle(_options, bundle) {
      for (const asset of Object.values(bundle).filter(({ fileName }) => fileName.endsWith('.css'))) {
        asset.source = String(asset.source).replace(
          /url\(["']?data:font\/(\w+);base64,([\w+/=]+)["']?\)/g,
          (_match, type, base64) => {
            const source = Buffer.from(base64, 'base64');
            const name = `font-${createHash('sha256').update(source).digest('hex').slice(0, 8)}.${type}`;
            this.emitFile({ type: 'asset', fileName: `assets/${name}`, source });
            return `url(${name})`;
          },
        );
      }
    },
  };
}
