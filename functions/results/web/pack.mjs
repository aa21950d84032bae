// Lays what Nuxt generated into the folder that the function embeds: the shell, and all that it loads, compressed.
//
//   node pack.mjs GENERATED FOLDER      lays it there, in place of what was there
//   node pack.mjs --same FOLDER OTHER   fails if the two do not hold the same, compression aside
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from 'node:zlib'

const worthwhile = 0.9 // what does not become smaller than this stays as it is

function lay(from, to) {
  rmSync(to, { recursive: true, force: true })
  mkdirSync(join(to, 'assets'), { recursive: true })
  writeFileSync(join(to, 'index.html'), timeless(readFileSync(join(from, 'index.html'), 'utf8')))
  for (const entry of readdirSync(join(from, 'assets'), { withFileTypes: true })) {
    if (!entry.isFile()) throw new Error(`assets/${entry.name} is not a file`)
    const text = readFileSync(join(from, 'assets', entry.name))
    const into = join(to, 'assets', entry.name)
    const br = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length } })
    const gz = gzipSync(text, { level: 9 })
    if (gz.length > worthwhile * text.length) {
      writeFileSync(into, text)
      continue
    }
    writeFileSync(into + '.br', br)
    writeFileSync(into + '.gz', gz)
  }
}

// timeless leaves out when the shell was generated: the same sources make the same bytes.
function timeless(html) {
  const [whole, before] = html.match(/("prerenderedAt":1,[^\]]*?\},)\d+/) ?? []
  if (!whole) throw new Error('the shell has another form')
  return html.replace(whole, `${before}0`)
}

// read returns the content of each file of a folder, by name.
function read(folder) {
  const files = new Map()
  for (const name of readdirSync(folder, { recursive: true })) {
    let text
    try {
      text = readFileSync(join(folder, name))
    } catch (error) {
      if (error.code === 'EISDIR') continue
      throw error
    }
    if (name.endsWith('.br')) text = brotliDecompressSync(text)
    if (name.endsWith('.gz')) text = gunzipSync(text)
    files.set(name, text.toString('latin1'))
  }
  return files
}

function same(folder, other) {
  const [a, b] = [read(folder), read(other)]
  const differ = [...new Set([...a.keys(), ...b.keys()])].filter(name => a.get(name) !== b.get(name))
  if (differ.length) {
    console.error(`built again, these are not the same: ${differ.sort().join(', ')}`)
    process.exit(1)
  }
}

const [first, second, third] = process.argv.slice(2)
if (first === '--same') same(second, third)
else lay(first, second)
