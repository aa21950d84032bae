// The pages are static: one shell that the function results serves at each page's address, with all else in hashed files.
// Nothing in them comes from elsewhere, when they are built or when they are shown.
export default defineNuxtConfig({
  compatibilityDate: '2026-01-01',
  ssr: false,
  telemetry: false,
  devtools: { enabled: false },
  buildId: 'marimba', // the same sources make the same bytes
  css: ['~/assets/style.css'],
  app: {
    buildAssetsDir: '/assets/',
    head: {
      htmlAttrs: { lang: 'es' },
      title: 'Marimba',
      meta: [
        { charset: 'utf-8' },
        { name: 'viewport', content: 'width=device-width, initial-scale=1' },
        { name: 'color-scheme', content: 'light dark' },
      ],
      link: [{ rel: 'icon', href: '/assets/icon.svg', type: 'image/svg+xml' }],
    },
  },
  features: { inlineStyles: false },
  experimental: {
    appManifest: false, // there is no server to ask whether there is a newer build
    entryImportMap: false, // an inline script, which the pages' policy forbids
    payloadExtraction: false,
  },
  spaLoadingTemplate: false,
  nitro: {
    prerender: { routes: ['/'], crawlLinks: false },
  },
  vite: {
    build: {
      assetsInlineLimit: 0,
      target: 'es2022',
    },
    server: { fs: { allow: ['../../..'] } }, // rules.wasm and the messages are the house's
  },
  typescript: { strict: true },
})
