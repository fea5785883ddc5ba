// The real server as a child process.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Starts the server over a SQLite file and waits until it says where it listens. */
export async function startServer(file, port = 0) {
  const binary = process.env.E2E_SERVER
  if (!binary) throw new Error('E2E_SERVER names no server; run `cargo xtask test`')
  const options = ['--listen', `127.0.0.1:${port}`, '--store', `sqlite:${file}`, '--log', 'warn']
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
