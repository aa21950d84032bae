/** Does something again and again while the page is looked at, each time after the last has ended. */
export function useEvery(seconds: number, act: () => Promise<void>) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false

  async function turn() {
    clearTimeout(timer)
    if (ended || document.hidden) return
    await act()
    if (!ended && !document.hidden) timer = setTimeout(turn, seconds * 1000)
  }
  const looked = () => { if (!document.hidden) void turn() }
  onMounted(() => {
    document.addEventListener('visibilitychange', looked)
    void turn()
  })
  onBeforeUnmount(() => {
    ended = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', looked)
  })
}
