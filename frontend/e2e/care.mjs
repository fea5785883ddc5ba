// What must not go wrong on an ordinary day: being logged out, missing what is new, losing the page to one fault.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { worldOfTests } from './world.mjs'

const it = worldOfTests()

test('a login is renewed while its page is open, and the socket lives on with it', async () => {
  const [abe] = await it.signUp('abe')
  let sockets = 0
  abe.page.on('websocket', () => {
    sockets += 1
  })
  await abe.page.clock.install()
  const opened = abe.page.waitForEvent('websocket')
  await abe.page.reload()
  const socket = await opened
  const told = ({ payload }) => payload.includes('"kind":"renewed"')
  const renewed = socket.waitForEvent('framereceived', { predicate: told })
  await abe.page.getByText('No conversations yet').waitFor()
  const cookie = async () => (await abe.page.context().cookies()).map(({ value }) => value).join()
  const before = await cookie()
  await abe.page.clock.fastForward('13:00:00')
  await renewed
  assert.notEqual(await cookie(), before)
  assert.equal(sockets, 1)
  assert.equal(await abe.page.evaluate(() => JSON.stringify(localStorage).includes('eyJ')), false)
  await it.leave()
})

test('a login that has ended leads to the log in, which says so, and back to where one was', async () => {
  const [ada, bea] = await it.signUp('ada', 'bea')
  await ada.find('bea')
  await ada.say('before')
  const there = ada.page.url()
  await ada.page.context().clearCookies()
  await ada.page.reload()
  await ada.page.getByText('Your session has ended. Log in again.').waitFor()
  await ada.page.getByLabel('Username').fill('ada')
  await ada.page.getByLabel('Password', { exact: true }).fill('correct horse battery')
  await ada.page.getByRole('button', { name: 'Log in' }).click()
  await ada.sees('before')
  assert.equal(ada.page.url(), there)
  assert.equal(bea.complaints.length, 0)
  await it.leave()
})

test('a thread opens where its news begin, counts down on every device, and its end reads all', async () => {
  const [cat, dan] = await it.signUp('cat', 'dan')
  await cat.find('dan')
  await cat.say('m0.')
  const id = Number(new URL(cat.page.url()).pathname.split('/').at(-1))
  await dan.open('cat')
  await dan.say('all read up to here')
  await dan.page.goto(dan.url)
  // More than a page of them.
  await it.server.fill(cat.page, id, 80)
  await dan.listed('cat').getByText('79 unread').waitFor()
  const phone = await it.arrive('dan')
  await phone.logIn()

  await dan.open('cat')
  const line = dan.log.getByText('New messages')
  await line.waitFor()
  assert.ok(await inSight(line))
  assert.ok(await inSight(dan.message('m1.').first()))
  assert.equal(await inSight(dan.message('m79.')), false)
  const jump = dan.page.getByRole('button', { name: 'Jump to latest' })
  const count = async () => Number((await dan.listed('cat').innerText()).match(/(\d+)\s+unread/)?.[1])
  await dan
    .listed('cat')
    .getByText(/^\d\d\s*unread/)
    .waitFor()
  const first = await count()
  assert.ok(first > 30 && first < 79, `${first} of 79 are left`)
  await phone.listed('cat').getByText(String(first)).waitFor()
  assert.ok((await jump.innerText()).includes(String(first)))

  // Reading on: by the wheel, some screens.
  await dan.log.evaluate((log) => {
    log.scrollTop += 1_000
  })
  await dan.page.waitForFunction(
    (first) => Number(document.querySelector('#log ~ button')?.innerText) < first,
    first,
  )
  await jump.click()
  await dan.sees('m79.')
  for (const person of [dan, phone])
    await person.listed('cat').getByText('unread').waitFor({ state: 'hidden' })
  await it.leave()
})

test('new messages are announced once, apart from the log, and shown by the system when that was wished', async () => {
  const [eli, fox] = await it.signUp('eli', 'fox')
  await eli.page.addInitScript(() => {
    globalThis.shown = []
    globalThis.asked = 0
    globalThis.Notification = class {
      static permission = 'default'
      static async requestPermission() {
        globalThis.asked += 1
        globalThis.Notification.permission = 'granted'
        return 'granted'
      }
      constructor(title, { body }) {
        globalThis.shown.push(`${title}: ${body}`)
      }
    }
  })
  await eli.page.reload()
  await eli.page.getByText('No conversations yet').waitFor()
  assert.equal(await eli.page.evaluate(() => globalThis.asked), 0)
  await eli.account('Settings')
  await eli.page.getByRole('checkbox', { name: 'Tell me about new messages' }).check()
  await eli.page.keyboard.press('Escape')
  assert.equal(await eli.page.evaluate(() => globalThis.asked), 1)

  const said = eli.page.locator('[aria-live="polite"]')
  await said.evaluate((place) => {
    globalThis.announced = []
    new MutationObserver(() => globalThis.announced.push(place.textContent)).observe(place, {
      childList: true,
      characterData: true,
      subtree: true,
    })
    // As if another window were in front.
    document.hasFocus = () => false
  })
  await fox.find('eli')
  await fox.type('hello **eli**')
  await eli.page.getByText('New message from fox: hello eli').waitFor({ state: 'attached' })
  await eli.open('fox')
  await eli.sees('hello eli')
  assert.equal(await eli.log.getAttribute('aria-live'), 'off')
  assert.deepEqual(await eli.page.evaluate(() => globalThis.shown), ['fox: hello eli'])
  await fox.say('one more')
  await eli.page.getByText('New message from fox: one more').waitFor({ state: 'attached' })
  const announced = await eli.page.evaluate(() => globalThis.announced)
  assert.equal(announced.length, 2, announced.join('\n'))
  await it.leave()
})

test('a file that is pasted or dropped is refused in words, and the page stays', async () => {
  const [gil, hue] = await it.signUp('gil', 'hue')
  await gil.find('hue')
  const taken = (type) =>
    gil.composer.evaluate((field, type) => {
      const data = new DataTransfer()
      data.items.add(new File(['x'], 'cat.png', { type: 'image/png' }))
      const init = { bubbles: true, cancelable: true }
      const event =
        type === 'paste'
          ? new ClipboardEvent(type, { ...init, clipboardData: data })
          : new DragEvent(type, { ...init, dataTransfer: data })
      return field.dispatchEvent(event)
    }, type)
  assert.equal(await taken('paste'), false)
  await gil.page.getByText('Files cannot be sent here yet.').waitFor()
  assert.equal(await taken('dragover'), false)
  assert.equal(await taken('drop'), false)
  assert.equal(hue.complaints.length, 0)
  await it.leave()
})

test('a log-out clears the device, also when another tab hears of it late', async () => {
  const [kim] = await it.signUp('kim', 'lou')
  await kim.find('lou')
  await kim.say('for the two of us')
  await kim.keeps(({ tails }) => tails.length === 1)
  const tab = await kim.secondTab()
  // Its socket is closed long before.
  await tab.page.addInitScript(() => {
    Object.defineProperty(BroadcastChannel.prototype, 'onmessage', {
      set(hear) {
        this.addEventListener('message', (event) => setTimeout(hear, 1_000, event))
      },
    })
  })
  await tab.page.goto(kim.url)
  await tab.open('lou')
  await kim.page.getByRole('button', { name: 'Menu', exact: true }).click()
  await kim.page.getByRole('menuitem', { name: 'Settings' }).click()
  await kim.page.getByRole('button', { name: 'Log out' }).click()
  await kim.page.getByRole('heading', { name: 'Welcome back' }).waitFor()
  await tab.page.getByText('Your session has ended. Log in again.').waitFor()
  await tab.page.getByText('Your session has ended. Log in again.').waitFor({ state: 'hidden' })
  await tab.keeps((kept) => Object.values(kept).every((store) => store.length === 0))
  await it.leave()
})

test('a window that is opened while another closes stays', async () => {
  const [una] = await it.signUp('una')
  await una.page.keyboard.press('Control+k')
  await una.page.getByRole('combobox').waitFor()
  // A quick hand's Escape, and the next key before the browser has told of the first.
  await una.page.evaluate(async () => {
    const dialog = document.querySelector('dialog')
    const told = new Promise((resolve) => dialog.addEventListener('close', resolve))
    dialog.requestClose()
    dispatchEvent(new KeyboardEvent('keydown', { key: '/', ctrlKey: true }))
    await told
  })
  await una.page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor()
  await it.leave()
})

test('a fault ends at its message or its pane, and the rest goes on', async () => {
  const [ivy, jim] = await it.signUp('ivy', 'jim')
  await ivy.find('jim')
  await ivy.say('this one BREAKS')
  await ivy.say('and this does not')

  const reader = await it.arrive('jim')
  await reader.logIn()
  reader.expectFault = true
  // The reading of marks fails for some words: as good as a defect in what draws them.
  await reader.page.addInitScript(() => {
    const plain = String.prototype.matchAll
    String.prototype.matchAll = function (...given) {
      if (this.includes('BREAKS')) throw new Error(`a fault that quotes: ${this}`)
      return plain.apply(this, given)
    }
  })
  await reader.page.reload()
  await reader.open('ivy')
  await reader.sees('This message cannot be shown.')
  await reader.sees('and this does not')
  await reader.isAccessibleInBoth('a broken message')
  await reader.say('I see most of it')
  await ivy.sees('I see most of it')

  // The list has it in its preview now, and goes; the thread does not.
  await ivy.say('it BREAKS again')
  await reader.page.getByRole('heading', { name: 'The list cannot be shown' }).waitFor()
  await reader.isAccessibleInBoth('a broken list')
  await reader.say('still here')
  await ivy.sees('still here')

  // A part of the page that does not come: the list stays.
  const late = await it.arrive('jim', { serviceWorkers: 'block' })
  late.expectFault = true
  late.expectOutage = true
  await late.logIn()
  await late.page.route('**/assets/ChatPane-*.js', (route) => route.abort())
  await late.page.reload()
  await late.listed('ivy').click()
  await late.page.getByRole('heading', { name: 'This conversation cannot be shown' }).waitFor()
  await late.isAccessibleInBoth('a broken thread')
  await ivy.say('are you there?')
  await late.listed('ivy').getByText('are you there?').waitFor()
  await late.page.unroute('**/assets/ChatPane-*.js')
  await late.page.getByRole('button', { name: 'Reload' }).click()
  await late.sees('are you there?')

  // What belongs to no pane.
  await late.page.addInitScript(() => {
    Object.defineProperty(document, 'title', {
      get: () => 'Chat',
      set() {
        throw new Error('no title')
      },
    })
  })
  await late.page.reload()
  await late.page.getByRole('heading', { name: 'Something went wrong' }).waitFor()
  await late.isAccessibleInBoth('a broken page')
  assert.equal(jim.complaints.length, 0)
  await it.leave()
})

/** Whether all of it is inside the log's box. */
const inSight = (place) =>
  place.evaluate((element) => {
    const box = document.getElementById('log').getBoundingClientRect()
    const { top, bottom } = element.getBoundingClientRect()
    return top >= box.top - 1 && bottom <= box.bottom + 1
  })
