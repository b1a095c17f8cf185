// The parts of ECharts this console uses, and no more of it.

import { BarChart, LineChart, type BarSeriesOption, type LineSeriesOption } from 'echarts/charts'
import { GridComponent, type GridComponentOption } from 'echarts/components'
import { init, use, type ComposeOption, type EChartsType } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

use([BarChart, LineChart, GridComponent, CanvasRenderer])

export { init }
export type Chart = EChartsType
export type Option = ComposeOption<BarSeriesOption | LineSeriesOption | GridComponentOption>
export type SeriesOption = BarSeriesOption | LineSeriesOption
