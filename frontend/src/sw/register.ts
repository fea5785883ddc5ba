const ADDRESS = '/sw.js'

interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL(address: string): string },
  ): { createScriptURL(address: string): string }
}

/** The one address that may become a script: Trusted Types ask for a reason. */
export function registerWorker() {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return
  const { trustedTypes } = globalThis as { trustedTypes?: Policies }
  const policy = trustedTypes?.createPolicy('worker', {
    createScriptURL(address) {
      if (address !== ADDRESS) throw new TypeError('not the worker')
      return address
    },
  })
  const address = policy ? policy.createScriptURL(ADDRESS) : ADDRESS
  // Where it is not allowed, the page only does not open without a network.
  addEventListener('load', () => void navigator.serviceWorker.register(address).catch(() => {}))
}
