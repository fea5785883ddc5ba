// The real server as a child process.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Starts the server over a SQLite file and waits until it says where it listens. */
export async function startServer(file, port = 0, more = []) {
  const binary = process.env.E2E_SERVER
  if (!binary) throw new Error('E2E_SERVER names no server; run `cargo xtask test`')
  const options = [
    '--listen',
    `127.0.0.1:${port}`,
    '--store',
    `sqlite:${file}`,
    '--no-rate-limits',
    '--log',
    'warn',
    ...more,
  ]
  const child = spawn(binary, options, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) {
    const url = line.match(/http:\/\/127\.0\.0\.1:(\d+)/)
    if (!url) continue
    // Nobody reads on, and a full pipe must not stop the server.
    child.stdout.resume()
    return {
      url: url[0],
      port: Number(url[1]),
      /** Puts messages `m1.` … into a conversation, by sockets of the page that it is open in. */
      async fill(page, conversation, total) {
        await page.evaluate(
          async ([conversation, total]) => {
            const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`, 'chat.v1')
            await new Promise((resolve, reject) => {
              const pause = (ms) => new Promise((done) => setTimeout(done, ms))
              let next = 1
              const post = () => {
                if (next >= total) return resolve()
                const number = String(next).padStart(12, '0')
                const key = `01990000-0000-7000-8000-${number}`
                const text = `m${next}.${' and some words'.repeat(next % 9)}`
                socket.send(
                  JSON.stringify({ type: 'post', ref: next, body: { key, to: { conversation }, text } }),
                )
              }
              socket.onmessage = async ({ data }) => {
                const frame = JSON.parse(data)
                if (frame.type === 'hello') post()
                else if (frame.ref !== next) return
                else if (frame.type === 'reply') {
                  next += 1
                  post()
                } else {
                  await pause(frame.body.retry_after_ms ?? 200)
                  post()
                }
              }
              socket.onclose = ({ code }) => reject(new Error(`closed: ${code}`))
            })
            socket.close()
          },
          [conversation, total],
        )
      },
      /**
       * The same, many at a time, for measuring: from a page of this server on which nothing else runs. Says how many are
       * stored, each time that is asked.
       */
      pour: (page, conversation, total) =>
        page.evaluate(
          ([conversation, total]) => {
            const AT_ONCE = 60
            const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws`, 'chat.v1')
            let next = 1
            globalThis.poured = { done: 0, error: null }
            const post = () => {
              if (next >= total) return
              const key = `01990000-0000-7000-8000-${String(next).padStart(12, '0')}`
              const text = `m${next}.${' and some words'.repeat(next % 9)}`
              socket.send(
                JSON.stringify({ type: 'post', ref: next, body: { key, to: { conversation }, text } }),
              )
              next += 1
            }
            socket.onmessage = ({ data }) => {
              // Most are the messages themselves: they need no reading.
              if (data.startsWith('{"type":"event"')) return
              const frame = JSON.parse(data)
              if (frame.type === 'hello') for (let count = 0; count < AT_ONCE; count += 1) post()
              else if (frame.type === 'error') globalThis.poured.error = frame.body.detail
              else if (frame.type === 'reply') {
                globalThis.poured.done += 1
                if (globalThis.poured.done === total - 1) socket.close()
                else post()
              }
            }
            socket.onclose = ({ code }) => {
              if (globalThis.poured.done < total - 1) globalThis.poured.error ??= `closed: ${code}`
            }
          },
          [conversation, total],
        ),
      /** Ends it as a power cut would, as far as a process can. */
      async kill() {
        child.kill('SIGKILL')
        await exited
      },
      /** Ends it the orderly way; resolves to its exit code. */
      async stop() {
        child.kill('SIGTERM')
        const [code] = await exited
        return code
      },
    }
  }
  throw new Error('the server ended before it listened')
}
