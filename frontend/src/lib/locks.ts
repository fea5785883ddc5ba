/** One tab at a time. Browsers offer that to pages of https and of this machine only; elsewhere each tab is on its own. */
export async function exclusively<T>(name: string, work: () => Promise<T>): Promise<T> {
  return navigator.locks === undefined ? work() : await navigator.locks.request(name, work)
}
