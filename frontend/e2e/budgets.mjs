// Measures the client in Chromium against a server with a long conversation, and prints each goal beside its figure, and
// beside both what a page with next to nothing on it takes on this machine in the same run.
// Not a test: figures depend on the machine. CHAT_MESSAGES says how many messages there are.
import { readdirSync, readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { gzipSync } from 'node:zlib'
import { world } from './world.mjs'

const TOTAL = Number(process.env.CHAT_MESSAGES ?? 100_000)
const KEYS = 60
const SENDS = 20
/** Between two keys: faster than almost anybody types. */
const KEY_MS = 100
const SLOW_4G = { latency: 150, downloadThroughput: (1.6e6 / 8) * 0.9, uploadThroughput: (750e3 / 8) * 0.9 }

const rows = []
const row = (what, goal, figure, fits, bare = '') =>
  rows.push({ what, goal, figure, fits: fits ? 'yes' : 'NO', 'bare page': bare })
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

const ms = (time) => `${time.toFixed(1)} ms`
const seconds = (time) => `${(time / 1000).toFixed(2)} s`

/** A list, a field and a button that puts what the field says into the list: what is below no client can get. */
const BARE = `<!doctype html><style>body { margin: 0 } #log { height: 600px; contain: strict; overflow: auto }</style>
<div id="log"><ol>${'<li data-anchor>some words</li>'.repeat(2_000)}</ol></div><form><textarea></textarea></form>
<script>
  document.querySelector('form').onsubmit = (event) => {
    event.preventDefault()
    const row = document.createElement('li')
    row.dataset.own = 'true'
    row.textContent = document.querySelector('textarea').value
    document.querySelector('ol').append(row)
  }
  document.getElementById('log').scrollTop = 1e9
</script>`

/** In a page: scrolls as a wheel does, by a step each frame, for some seconds. */
async function scrolling() {
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
}

/** From the key to the frame after the one it is painted in; a key on each page in turn, so that both have the same weather. */
async function typing(pages) {
  for (const page of pages) {
    await page.locator('textarea').fill('')
    await page.locator('textarea').focus()
    await page.evaluate(() => {
      const begins = globalThis.painted === undefined
      globalThis.painted = []
      if (!begins) return
      document.querySelector('textarea').addEventListener('keydown', (event) => {
        const began = event.timeStamp
        requestAnimationFrame(() => setTimeout(() => globalThis.painted.push(performance.now() - began)))
      })
    })
  }
  for (let key = 0; key < KEYS; key += 1)
    for (const page of pages) {
      await page.keyboard.press('x')
      await new Promise((resolve) => setTimeout(resolve, KEY_MS))
    }
  const found = []
  for (const page of pages) {
    await page.waitForFunction((keys) => globalThis.painted.length >= keys, KEYS)
    await page.locator('textarea').fill('')
    found.push(quantile(await page.evaluate(() => globalThis.painted), 0.95))
  }
  return found
}

/** From submitting to the frame after the one with the bubble, on each page in turn. */
async function sending(pages) {
  const times = pages.map(() => [])
  for (let turn = 0; turn < SENDS; turn += 1)
    for (const [place, page] of pages.entries()) {
      await page.locator('textarea').fill(`own ${turn}.`)
      const time = await page.evaluate(
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
        `own ${turn}.`,
      )
      times[place].push(time)
    }
  return times.map((all) => quantile(all, 0.95))
}

async function slowed(page, rate) {
  const session = await page.context().newCDPSession(page)
  await session.send('Emulation.setCPUThrottlingRate', { rate })
}

/** A new page on a slow phone, nothing cached. */
async function coldly(context) {
  const page = await context.newPage()
  const session = await context.newCDPSession(page)
  await session.send('Network.enable')
  await session.send('Network.setCacheDisabled', { cacheDisabled: true })
  await session.send('Network.emulateNetworkConditions', { offline: false, ...SLOW_4G })
  await slowed(page, 4)
  return page
}

async function largest(page, url, there) {
  await page.goto(url)
  await there.waitFor()
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime)).observe({
          type: 'largest-contentful-paint',
          buffered: true,
        })
      }),
  )
}

/** Writes the messages from a page on which nothing else runs: the client would draw each of them. */
async function fill(people, conversation) {
  for (const person of people) await person.page.goto('about:blank')
  const writer = await it.arrive('ann', { serviceWorkers: 'block' })
  await writer.logIn()
  await writer.page.route('**/assets/**', (route) => route.abort())
  await writer.page.goto(writer.url)
  const began = performance.now()
  await it.server.pour(writer.page, conversation, TOTAL)
  for (;;) {
    const { done, error } = await writer.page.evaluate(() => globalThis.poured)
    if (error !== null) throw new Error(error)
    const seconds = (performance.now() - began) / 1000
    console.log(`${done + 1} of ${TOTAL} messages stored, ${seconds.toFixed(0)} s`)
    if (done === TOTAL - 1) break
    await new Promise((resolve) => setTimeout(resolve, 2_000))
  }
  await writer.page.context().close()
}

const it = world()
await it.begin()
try {
  const bare = await it.browser.newPage()
  await bare.setContent(BARE)
  const people = await it.signUp('ann', 'bob')
  const [ann] = people
  await ann.find('bob')
  await ann.say('m0.')
  const id = Number(new URL(ann.page.url()).pathname.split('/').at(-1))
  await fill(people, id)
  await ann.page.goto(`${ann.url}/c/${id}`)
  await ann.sees(`m${TOTAL - 1}.`)

  await ann.page.locator('#log').evaluate((log) => {
    log.scrollTop = log.scrollHeight
  })
  await ann.page.bringToFront()
  const scroll = await ann.page.evaluate(scrolling)
  await bare.bringToFront()
  const plain = await bare.evaluate(scrolling)
  const session = await ann.page.context().newCDPSession(ann.page)
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  const fps = ({ times }) => 1000 / (times.reduce((sum, time) => sum + time, 0) / times.length)
  row('scrolling', '≥ 58 fps', `${fps(scroll).toFixed(1)} fps`, fps(scroll) >= 58, fps(plain).toFixed(1))
  const p99 = quantile(scroll.times, 0.99)
  row('scrolling, frame p99', '≤ 20 ms', `${p99.toFixed(1)} ms`, p99 <= 20, ms(quantile(plain.times, 0.99)))
  row('DOM nodes', '≤ 1,500', `${scroll.nodes}`, scroll.nodes <= 1_500)
  row('heap', '≤ 60 MB', `${(usedSize / 1e6).toFixed(1)} MB`, usedSize <= 60e6)
  row('drift while older ones load', '0 px', `${scroll.drift.toFixed(1)} px`, scroll.drift < 1)

  const pages = [ann.page, bare]
  const [key, bareKey] = await typing(pages)
  row('key → paint, p95', '≤ 20 ms', ms(key), key <= 20, ms(bareKey))

  const [bubble, bareBubble] = await sending(pages)
  row('send → own bubble painted, p95', '≤ 50 ms', ms(bubble), bubble <= 50, ms(bareBubble))

  for (const page of pages) await slowed(page, 4)
  const [slow, bareSlow] = await typing(pages)
  row('key → paint, CPU 4 × slower, p95', '≤ 60 ms', ms(slow), slow <= 60, ms(bareSlow))

  // The list of somebody logged in, on a slow phone, nothing cached. The pages so far are on no phone: without them, and
  // in turn with one small answer of the server, shown as text; the middle one of several.
  await bare.close()
  for (const person of people) await person.page.context().close()
  const phone = await it.arrive('ann', {
    viewport: { width: 412, height: 823 },
    isMobile: true,
    serviceWorkers: 'block',
  })
  await phone.logIn()
  const [lists, answers] = [[], []]
  for (let turn = 0; turn < 5; turn++) {
    const list = await coldly(phone.page.context())
    lists.push(await largest(list, it.server.url, list.getByRole('link', { name: 'bob' })))
    await list.close()
    const one = await coldly(phone.page.context())
    answers.push(await largest(one, `${it.server.url}/v1/session`, one.locator('pre')))
    await one.close()
  }
  const [lcp, answer] = [quantile(lists, 0.5), quantile(answers, 0.5)]
  row('LCP, slow 4G, CPU 4 × slower, 412 px', '≤ 1.8 s', seconds(lcp), lcp <= 1_800, seconds(answer))
} finally {
  await it.end()
}
console.log(
  `Load average ${loadavg()
    .map((load) => load.toFixed(1))
    .join(' ')} on ${cpus().length} cores at the end.`,
)
console.table(rows)
