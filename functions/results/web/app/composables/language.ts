import { keep, kept } from '~/kept'

const languages = ['es', 'en'] as const
export type Language = typeof languages[number]

const known = (wanted: string | null | undefined) => languages.find(l => l === wanted?.slice(0, 2).toLowerCase())

/** The language that was asked for or chosen before, or else the first of the browser's that the pages speak. */
export function firstLanguage(): Language {
  const asked = new URLSearchParams(location.search).get('lang')
  return known(asked) ?? known(kept<string>('language')) ?? navigator.languages.map(known).find(Boolean) ?? 'es'
}

export function useLanguage() {
  const { locale } = useI18n()
  const language = computed(() => locale.value as Language)
  return {
    language,
    other: computed<Language>(() => language.value === 'es' ? 'en' : 'es'),
    choose(chosen: Language) {
      locale.value = chosen
      keep('language', chosen)
    },
  }
}
