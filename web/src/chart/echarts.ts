// The parts of ECharts this console uses, and no more of it.

import { LineChart, type LineSeriesOption } from 'echarts/charts'
import { GridComponent, type GridComponentOption } from 'echarts/components'
import { init, use, type ComposeOption, type EChartsType } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

use([LineChart, GridComponent, CanvasRenderer])

export { init }
export type Chart = EChartsType
export type Option = ComposeOption<LineSeriesOption | GridComponentOption>
export type LineOption = LineSeriesOption
