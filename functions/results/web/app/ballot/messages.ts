// What a refusal says to people: the texts that the functions answer with.
import en from '../../../../internal/problem/messages/en.json'
import es from '../../../../internal/problem/messages/es.json'
import type { Refusal } from './rules'

const texts: Record<string, Record<string, string>> = { es, en }

/** Words a refusal. The field is called as the page calls it. */
export function wordRefusal({ code, params }: Refusal, language: string, field: string): string {
  const text = texts[language]?.[code] ?? code
  return text.replace(/\{\{\.(\w+)\}\}/g, (_, name: string) => name === 'field' ? field : params[name] ?? '')
}
