/** Numbers and times as the page's language writes them. */
export function useFormat() {
  const { language } = useLanguage()
  const locale = computed(() => language.value === 'es' ? 'es-GT' : 'en')
  const made = computed(() => ({
    number: new Intl.NumberFormat(locale.value, { maximumFractionDigits: 2 }),
    mean: new Intl.NumberFormat(locale.value, { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
    share: new Intl.NumberFormat(locale.value, { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    clock: new Intl.DateTimeFormat(locale.value, { timeStyle: 'medium' }),
    moment: new Intl.DateTimeFormat(locale.value, { dateStyle: 'medium', timeStyle: 'medium' }),
    minute: new Intl.DateTimeFormat(locale.value, { dateStyle: 'long', timeStyle: 'short' }),
  }))
  return {
    number: (n: number) => made.value.number.format(n),
    mean: (n: number | null) => n === null ? '–' : made.value.mean.format(n),
    share: (n: number) => made.value.share.format(n),
    clock: (at: string | number | Date) => made.value.clock.format(new Date(at)),
    moment: (at: string | number | Date) => made.value.moment.format(new Date(at)),
    minute: (at: string | number | Date) => made.value.minute.format(new Date(at)),
  }
}
