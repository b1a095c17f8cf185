// What is to be planned for, in the address: collector, growth, reserve (percent),
// bytes, and routers as NAME=FLOWS@RATE/LIMIT, of which any part may be missing,
// with ; between them. `minamo plan --router` has the same form.

import type { WhatIf, WhatIfRouter } from '@/ask/budget'
import type { Parameters } from '@/ask/state'

const number = (text: string | undefined, least = 0): number | undefined => {
  const value = Number(text)
  return text && Number.isFinite(value) && value >= least ? value : undefined
}

export function parseWhatIf(parameters: Parameters): WhatIf {
  const reserve = number(parameters.reserve)
  return {
    collector: number(parameters.collector),
    growth: number(parameters.growth, 0.01),
    reserve: reserve === undefined ? undefined : Math.min(reserve, 90) / 100,
    bytes: number(parameters.bytes),
    routers: parseRouters(parameters.routers),
  }
}

function parseRouters(text: string | undefined): WhatIfRouter[] {
  return (text ?? '').split(';').flatMap((one) => {
    const found = /^([^=;]+)=([\d.]*)(?:@(\d*))?(?:\/([\d.]*))?$/.exec(one)
    if (!found) return []
    const [, name, flows, rate, limit] = found
    return [{ name: name!, flows: number(flows), rate: number(rate, 1), limit: number(limit) }]
  })
}

/** formatRouters leaves out who is as he is. */
export const formatRouters = (routers: WhatIfRouter[]): string =>
  routers
    .filter((one) => one.flows !== undefined || one.rate !== undefined || one.limit !== undefined)
    .map((one) => `${one.name}=${one.flows ?? ''}${one.rate === undefined ? '' : `@${one.rate}`}${one.limit === undefined ? '' : `/${one.limit}`}`)
    .join(';')
