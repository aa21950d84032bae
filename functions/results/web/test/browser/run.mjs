// Runs the browser tests against a house of their own: node test/browser/run.mjs [FILE…]
import { readdirSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startHouse } from './house.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const files = process.argv.length > 2
  ? process.argv.slice(2)
  : readdirSync(here).filter(name => name.endsWith('.test.mjs')).sort().map(name => join(here, name))

const house = await startHouse(join(here, 'contests'))
const tests = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], {
  stdio: 'inherit',
  env: { ...process.env, MARIMBA_TEST_RESULTS: house.results, MARIMBA_TEST_DOOR: house.http, MARIMBA_TEST_TOKEN: house.token, MARIMBA_TEST_KAFKA: house.kafka },
})
const status = await new Promise(resolve => tests.once('exit', code => resolve(code ?? 1)))
await house.stop()
process.exit(status)
