import { type RefObject, type SyntheticEvent, useLayoutEffect, useRef } from 'react'

interface Modal {
  ref: RefObject<HTMLDialogElement | null>
  onCancel(event: SyntheticEvent): void
  onClose(): void
}

/** Makes a <dialog> modal while it is rendered: the browser keeps the focus in it, answers Escape, and puts the focus back. */
export function useModal(onClose: () => void): Modal {
  const ref = useRef<HTMLDialogElement>(null)

  // Before it leaves the page: one that is not in it anymore cannot put the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])

  return {
    ref,
    // At once: the browser tells of the close itself only later, and what was opened meanwhile would be closed by it.
    // React tells a dialog also of those inside of it.
    onCancel: (event) => event.target === event.currentTarget && onClose(),
    // Closed by something else. One that was undone at once, as development's double effects do, is none.
    onClose: () => ref.current?.open === false && onClose(),
  }
}
