import { useI18n as useWords } from 'vue-i18n'

/** t('key') is a word of the page in its language, of words/*.json. */
export const useI18n = () => useWords({ useScope: 'global' })
