// A house of its own on free ports, with embedded parts, and a browser to look at it with. It ends with the process that
// started it.
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../../../', import.meta.url))
const startWithin = 180_000 // the functions may have to be compiled first

/** Starts `marimba up` with the demo's contests and those of a folder; the addresses that it leaves, and what stops it. */
export async function startHouse(more) {
  const folder = mkdtempSync(join(tmpdir(), 'marimba-pages-'))
  const command = join(folder, 'marimba')
  const built = spawnSync('go', ['build', '-o', command, './scripts/marimba'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (built.status !== 0) throw new Error('marimba cannot be built')
  const data = join(folder, 'data')
  const contests = join(folder, 'contests')
  mkdirSync(contests)
  for (const from of [join(root, 'config/contests'), more]) {
    for (const name of readdirSync(from).filter(name => name.endsWith('.yaml'))) copyFileSync(join(from, name), join(contests, name))
  }
  const house = spawn(command, ['up', '--data', data, '--listen', '127.0.0.1:0', '--contests', contests], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [house.stdout, house.stderr]) stream.on('data', text => said += text)
  const ended = new Promise(resolve => house.once('exit', resolve))

  const stop = async () => {
    house.kill('SIGTERM')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const addresses = await Promise.race([
      left(join(data, 'running.json')),
      ended.then(() => { throw new Error(`the house ended:\n${said}`) }),
    ])
    return { ...addresses, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Waits for a file that a process leaves when it is ready. */
async function left(file) {
  const until = Date.now() + startWithin
  while (!existsSync(file)) {
    if (Date.now() > until) throw new Error(`${file} does not appear`)
    await appears(dirname(file))
  }
  return JSON.parse(readFileSync(file, 'utf8'))
}

// appears waits until something changes in a folder, which may not be there yet, or for a moment.
const appears = folder => new Promise((resolve) => {
  let watcher
  const timer = setTimeout(done, 250)
  function done() {
    clearTimeout(timer)
    watcher?.close()
    resolve()
  }
  try {
    watcher = watch(folder, done)
  } catch {
    // the timer looks again
  }
})

/** Finds Debian's browser, or another of its kind. */
export function findChromium() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const found = spawnSync('which', [name], { encoding: 'utf8' })
    if (found.status === 0) return found.stdout.trim()
  }
  throw new Error('there is no chromium')
}
