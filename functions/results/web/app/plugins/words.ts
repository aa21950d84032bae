import { createI18n } from 'vue-i18n'
import en from '~/words/en.json'
import es from '~/words/es.json'

// The words of the pages, in the files that the function reads too, for what it shows without JavaScript.
export default defineNuxtPlugin((nuxt) => {
  const i18n = createI18n({
    legacy: false,
    locale: firstLanguage(),
    fallbackLocale: 'es',
    flatJson: true,
    messages: { es, en },
    missingWarn: import.meta.dev,
  })
  nuxt.vueApp.use(i18n)
})
