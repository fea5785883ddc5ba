// Measures the client in Chromium against a server with a long conversation, and prints each goal beside its figure.
// Not a test: figures depend on the machine. CHAT_MESSAGES says how many there are.
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { world } from './world.mjs'

const TOTAL = Number(process.env.CHAT_MESSAGES ?? 100_000)
const KEYS = 60
/** Between two keys: faster than almost anybody types. */
const KEY_MS = 100
const SLOW_4G = { latency: 150, downloadThroughput: (1.6e6 / 8) * 0.9, uploadThroughput: (750e3 / 8) * 0.9 }

const rows = []
const row = (what, goal, figure, fits) => rows.push({ what, goal, figure, fits: fits ? 'yes' : 'NO' })
const quantile = (values, part) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * part)]

const assets = new URL('../dist/assets/', import.meta.url)
const first = [
  ...readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8').matchAll(/assets\/([\w.-]+)/g),
]
const kB = (names) =>
  names.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, assets)), { level: 9 }).length, 0) /
  1000
const firstJs = kB(first.map((match) => match[1]).filter((name) => name.endsWith('.js')))
const css = kB(readdirSync(assets).filter((name) => name.endsWith('.css')))
row('first JavaScript, gzip', '≤ 100 kB', `${firstJs.toFixed(1)} kB`, firstJs <= 100)
row('CSS, gzip', '≤ 12 kB', `${css.toFixed(1)} kB`, css <= 12)

const it = world()
await it.begin()
try {
  const [ann, bob] = await it.signUp('ann', 'bob')
  await ann.find('bob')
  await ann.say('m0.')
  const id = Number(new URL(ann.page.url()).pathname.split('/').at(-1))
  console.log(`writing ${TOTAL} messages …`)
  await it.server.pour(ann.page, id, TOTAL)
  await ann.page.reload()
  await ann.sees(`m${TOTAL - 1}.`)
  await bob.page.goto(ann.page.url())
  await bob.sees(`m${TOTAL - 1}.`)

  // Scrolling as a wheel does, by a step each frame, for some seconds.
  await ann.page.locator('#log').evaluate((log) => {
    log.scrollTop = log.scrollHeight
  })
  const scroll = await ann.page.evaluate(async () => {
    const log = document.getElementById('log')
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
    const times = []
    let drift = 0
    let nodes = 0
    let last = await frame()
    const until = last + 8_000
    while (last < until) {
      const top = log.getBoundingClientRect().top + 200
      const text = [...log.querySelectorAll('[data-anchor]')].find(
        (one) => one.getBoundingClientRect().bottom > top,
      )
      const before = text.getBoundingClientRect().top
      const by = Math.min(60, log.scrollTop)
      log.scrollTop -= by
      const now = await frame()
      times.push(now - last)
      last = now
      if (text.isConnected) drift = Math.max(drift, Math.abs(text.getBoundingClientRect().top - before - by))
      nodes = Math.max(nodes, document.querySelectorAll('*').length)
    }
    return { times, drift, nodes }
  })
  const session = await ann.page.context().newCDPSession(ann.page)
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  const mean = scroll.times.reduce((sum, time) => sum + time, 0) / scroll.times.length
  const fps = 1000 / mean
  row('scrolling', '≥ 58 fps', `${fps.toFixed(1)} fps`, fps >= 58)
  const p99 = quantile(scroll.times, 0.99)
  row('scrolling, frame p99', '≤ 20 ms', `${p99.toFixed(1)} ms`, p99 <= 20)
  row('DOM nodes', '≤ 1,500', `${scroll.nodes}`, scroll.nodes <= 1_500)
  row('heap', '≤ 60 MB', `${(usedSize / 1e6).toFixed(1)} MB`, usedSize <= 60e6)
  row('drift while older ones load', '0 px', `${scroll.drift.toFixed(1)} px`, scroll.drift < 1)

  // From the key to the frame after the one it is painted in.
  const typing = async (person) => {
    await person.composer.focus()
    await person.page.evaluate(() => {
      globalThis.painted = []
      document.querySelector('textarea').addEventListener('keydown', (event) => {
        const began = event.timeStamp
        requestAnimationFrame(() => setTimeout(() => globalThis.painted.push(performance.now() - began)))
      })
    })
    for (let key = 0; key < KEYS; key += 1) {
      await person.page.keyboard.press('x')
      await new Promise((resolve) => setTimeout(resolve, KEY_MS))
    }
    await person.page.waitForFunction((keys) => globalThis.painted.length >= keys, KEYS)
    const found = await person.page.evaluate(() => globalThis.painted)
    await person.composer.fill('')
    return quantile(found, 0.95)
  }
  const key = await typing(ann)
  row('key → paint, p95', '≤ 20 ms', `${key.toFixed(1)} ms`, key <= 20)

  const bubbles = []
  for (let turn = 0; turn < 10; turn += 1) {
    await ann.composer.fill(`own ${turn}`)
    bubbles.push(
      await ann.page.evaluate(
        (text) =>
          new Promise((resolve) => {
            const began = performance.now()
            const seen = () =>
              [...document.querySelectorAll('[data-own="true"]')].some((one) =>
                one.textContent.includes(text),
              )
            const look = () =>
              seen() ? setTimeout(() => resolve(performance.now() - began)) : requestAnimationFrame(look)
            document.querySelector('form').requestSubmit()
            requestAnimationFrame(look)
          }),
        `own ${turn}`,
      ),
    )
  }
  const bubble = quantile(bubbles, 0.95)
  row('send → own bubble painted, p95', '≤ 50 ms', `${bubble.toFixed(1)} ms`, bubble <= 50)

  await session.send('Emulation.setCPUThrottlingRate', { rate: 4 })
  const slow = await typing(ann)
  row('the same with a CPU 4 × slower', '≤ 60 ms', `${slow.toFixed(1)} ms`, slow <= 60)
  await session.send('Emulation.setCPUThrottlingRate', { rate: 1 })

  // The list of somebody logged in, on a slow phone, nothing cached.
  const phone = await it.arrive('ann', {
    viewport: { width: 412, height: 823 },
    isMobile: true,
    serviceWorkers: 'block',
  })
  await phone.logIn()
  const cold = await phone.page.context().newPage()
  const throttle = await cold.context().newCDPSession(cold)
  await throttle.send('Network.enable')
  await throttle.send('Network.setCacheDisabled', { cacheDisabled: true })
  await throttle.send('Network.emulateNetworkConditions', { offline: false, ...SLOW_4G })
  await throttle.send('Emulation.setCPUThrottlingRate', { rate: 4 })
  await cold.goto(it.server.url)
  await cold.getByRole('link', { name: 'bob' }).waitFor()
  const lcp = await cold.evaluate(
    () =>
      new Promise((resolve) => {
        new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime)).observe({
          type: 'largest-contentful-paint',
          buffered: true,
        })
      }),
  )
  row('LCP, slow 4G, CPU 4 × slower, 412 px', '≤ 1.8 s', `${(lcp / 1000).toFixed(2)} s`, lcp <= 1_800)
} finally {
  await it.end()
}
console.table(rows)
