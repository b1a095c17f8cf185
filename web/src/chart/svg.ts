// ECharts' other renderer, which writes a chart as text. Loaded when somebody
// takes a picture along.

import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import type { Option } from './echarts'

use([SVGRenderer])

/** svgOf draws an option without a page. */
export function svgOf(option: Option, size: { width: number; height: number }): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...size })
  chart.setOption(option)
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
