import { useEffect } from 'react'
import { t } from '../lib/i18n'
import { useServices } from '../stores/context'

/** A file that is dropped or pasted is not taken yet: that is said, and the browser does not open it in place of the page. */
export function useFileGuard() {
  const { toasts } = useServices()
  useEffect(() => {
    const files = (data: DataTransfer | null) => data?.types.includes('Files') === true
    function over(event: DragEvent) {
      if (files(event.dataTransfer)) event.preventDefault()
    }
    function refuse(event: DragEvent | ClipboardEvent) {
      const data = 'clipboardData' in event ? event.clipboardData : event.dataTransfer
      // Words that are copied with their picture are still words.
      if (!files(data) || (event.type === 'paste' && data?.types.includes('text/plain'))) return
      event.preventDefault()
      toasts.show(t('Files cannot be sent here yet.'))
    }
    addEventListener('dragover', over)
    addEventListener('drop', refuse)
    addEventListener('paste', refuse)
    return () => {
      removeEventListener('dragover', over)
      removeEventListener('drop', refuse)
      removeEventListener('paste', refuse)
    }
  }, [toasts])
}
