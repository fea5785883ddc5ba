import { t } from './i18n'

/** What whoever runs the server calls it; null without a name of theirs. The server writes it into the page. */
export const brandName = (): string | null =>
  document.querySelector<HTMLMetaElement>('meta[name="application-name"]')?.content || null

/** What stands in the title of the tab. */
export const appName = (): string => brandName() ?? t('Chat')
