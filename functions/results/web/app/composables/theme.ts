import { keep, kept } from '~/kept'

const themes = ['system', 'light', 'dark'] as const
export type Theme = typeof themes[number]

/** Light or dark, as the system has it unless the user chose one. */
export function useTheme() {
  const theme = useState<Theme>('theme', () => themes.find(t => t === kept<string>('theme')) ?? 'system')
  useHead({ htmlAttrs: { 'data-theme': theme } })
  return {
    theme,
    themes,
    choose(chosen: Theme) {
      theme.value = chosen
      keep('theme', chosen === 'system' ? null : chosen)
    },
  }
}
