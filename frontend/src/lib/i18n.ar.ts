export const TABLE: Readonly<Record<string, string>> = {}
