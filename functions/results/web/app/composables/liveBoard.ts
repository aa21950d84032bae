import { api, type Board } from '~/api/client'

export type Live = 'loading' | 'on' | 'off'

const comeBackAfter = 3000 // ms; browsers come back by themselves after a lost connection, but not after an answer of 503

/** The board of a contest as it moves. */
export function useLiveBoard(contest: string) {
  const board = shallowRef<Board | null>(null)
  const live = ref<Live>('loading')
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  function listen() {
    source?.close()
    const mine = source = new EventSource(api.streamURL(contest))
    mine.addEventListener('open', () => live.value = 'on')
    mine.addEventListener('board', (event: MessageEvent<string>) => {
      board.value = JSON.parse(event.data) as Board
    })
    mine.addEventListener('error', () => {
      live.value = 'off'
      if (mine.readyState === EventSource.CLOSED) timer = setTimeout(listen, comeBackAfter)
    })
  }

  onMounted(listen)
  onScopeDispose(() => {
    clearTimeout(timer)
    source?.close()
  })
  return { board, live }
}
