/** Moments as the log and the books write them: to the second or, where it tells something, to the millisecond. */
export function useStamp() {
  const { language } = useLanguage()
  const locale = computed(() => language.value === 'es' ? 'es-GT' : 'en')
  const day = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const
  const made = computed(() => ({
    number: new Intl.NumberFormat(locale.value, { maximumFractionDigits: 2 }),
    stamp: new Intl.DateTimeFormat(locale.value, day),
    brief: new Intl.DateTimeFormat(locale.value, { ...day, year: undefined }),
    fine: new Intl.DateTimeFormat(locale.value, { ...day, fractionalSecondDigits: 3 }),
  }))
  const quantity = (n: number, unit: 'millisecond' | 'second' | 'minute' | 'hour') =>
    new Intl.NumberFormat(locale.value, { style: 'unit', unit, maximumFractionDigits: 1 }).format(n)
  return {
    number: (n: number) => made.value.number.format(n),
    stamp: (at: string) => made.value.stamp.format(new Date(at)),
    brief: (at: string) => made.value.brief.format(new Date(at)),
    fine: (at: string) => made.value.fine.format(new Date(at)),
    /** How long from one moment to another, in the unit that says it best. */
    span(from: string, to: string) {
      const ms = Date.parse(to) - Date.parse(from)
      const size = Math.abs(ms)
      if (size < 1000) return quantity(ms, 'millisecond')
      if (size < 60_000) return quantity(ms / 1000, 'second')
      if (size < 3_600_000) return quantity(ms / 60_000, 'minute')
      return quantity(ms / 3_600_000, 'hour')
    },
  }
}
