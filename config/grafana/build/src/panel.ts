// The kinds of panels that the dashboards are made of, and how they stand.
import {
  AxisPlacement, BarGaugeDisplayMode, BarGaugeNamePlacement, BarGaugeSizing, BarGaugeValueMode, BigValueColorMode, BigValueGraphMode,
  BigValueJustifyMode, BigValueTextMode, FieldColorModeId, GraphDrawStyle, HeatmapCellLayout, LegendDisplayMode, LineInterpolation,
  PercentChangeColorMode, SortOrder, StackingMode, ThresholdsMode, TooltipDisplayMode, VisibilityMode, VizOrientation,
} from '@grafana/schema';
import type {
  DataTransformerConfig, FieldConfig, FieldConfigSource, GraphFieldConfig, Panel, ReduceDataOptions, Threshold,
} from '@grafana/schema';
import {
  HeatmapColorMode, HeatmapColorScale,
} from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import {
  PieChartLabels, PieChartLegendValues, PieChartType,
} from '@grafana/schema/dist/esm/raw/composable/piechart/panelcfg/x/PieChartPanelCfg_types.gen';
import type { Options as BarGauge } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Heatmap } from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type { Options as Pie } from '@grafana/schema/dist/esm/raw/composable/piechart/panelcfg/x/PieChartPanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TimeSeries } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { Ask, Query } from './query';

/** What every panel says of itself: its title for who runs a contest, its description for who wants to know more. */
export interface About {
  title: string;
  description: string;
  width: number; // of 24
  unit: string;
  ask: Ask[];
  decimals?: number;
  none?: string; // is shown where there is nothing
  limits?: Limit[];
  fields?: Overrides;
  transform?: DataTransformerConfig[];
}

/** From this value on, this colour. */
export type Limit = [from: number, colour: string];

export type Overrides = FieldConfigSource['overrides'];

/** A panel that has no place yet. */
export type Loose = Omit<Panel, 'id' | 'gridPos'> & { width: number };

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

function loose<O, C extends object>(type: string, about: About, options: O, custom: C, config: Omit<FieldConfig, 'custom'> = {}): Loose {
  const targets: Query[] = about.ask.map((ask, i) => ({ ...ask, refId: letters.charAt(i) }) as Query);
  const datasource = targets[0]?.datasource;
  if (!datasource) {
    throw new Error(`${about.title}: nothing is asked`);
  }
  const steps: Threshold[] = [
    { value: null as unknown as number, color: 'green' }, // from minus infinity, which JSON has no word for
    ...(about.limits ?? []).map(([value, color]) => ({ value, color })),
  ];
  const defaults: FieldConfig = {
    unit: about.unit,
    thresholds: { mode: ThresholdsMode.Absolute, steps },
    ...(about.decimals === undefined ? {} : { decimals: about.decimals }),
    ...(about.none === undefined ? {} : { noValue: about.none }),
    ...config,
    custom: { ...custom } as Record<string, unknown>,
  };
  return {
    type, width: about.width, title: about.title, description: about.description, datasource, targets: targets.map((t) => ({ ...t })),
    options: { ...options } as Record<string, unknown>,
    fieldConfig: { defaults, overrides: about.fields ?? [] },
    ...(about.transform ? { transformations: about.transform } : {}),
  };
}

const last: ReduceDataOptions = { calcs: ['lastNotNull'], fields: '', values: false };

/** One figure, or one for each field. */
export function figure(about: About & { spark?: boolean; names?: boolean; only?: string }): Loose {
  const options: Stat = {
    reduceOptions: { ...last, fields: about.only ?? '' },
    colorMode: BigValueColorMode.Value,
    graphMode: about.spark ? BigValueGraphMode.Area : BigValueGraphMode.None,
    justifyMode: BigValueJustifyMode.Auto,
    orientation: VizOrientation.Auto,
    textMode: about.names ? BigValueTextMode.ValueAndName : BigValueTextMode.Auto,
    wideLayout: true,
    showPercentChange: false,
    percentChangeColorMode: PercentChangeColorMode.Standard,
  };
  return loose('stat', about, options, {}, { color: { mode: FieldColorModeId.Thresholds } });
}

/** A bar for each field, the longest first. */
export function bars(about: About): Loose {
  const options: BarGauge = {
    reduceOptions: last,
    orientation: VizOrientation.Horizontal,
    displayMode: BarGaugeDisplayMode.Gradient,
    valueMode: BarGaugeValueMode.Color,
    namePlacement: BarGaugeNamePlacement.Auto,
    sizing: BarGaugeSizing.Auto,
    showUnfilled: true,
    minVizWidth: 8,
    minVizHeight: 16,
    maxVizHeight: 48,
    legend: { showLegend: false, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [] },
  };
  return loose('bargauge', about, options, {}, { min: 0, color: { mode: FieldColorModeId.ContinuousBlPu } });
}

/** Shares of a whole. */
export function shares(about: About): Loose {
  const options: Pie = {
    reduceOptions: last,
    orientation: VizOrientation.Auto,
    pieType: PieChartType.Donut,
    displayLabels: [PieChartLabels.Percent],
    legend: {
      showLegend: true, displayMode: LegendDisplayMode.Table, placement: 'right', calcs: [],
      values: [PieChartLegendValues.Value, PieChartLegendValues.Percent],
    },
    tooltip: { mode: TooltipDisplayMode.Single, sort: SortOrder.None },
    sort: SortOrder.Descending,
  };
  return loose('piechart', about, options, {}, { color: { mode: FieldColorModeId.PaletteClassicByName } });
}

interface Drawn {
  stacked?: boolean;
  stepped?: boolean; // a value stays until the next one
  dots?: boolean;
  log?: boolean;
}

/** Values over time. */
export function lines(about: About & Drawn): Loose {
  const options: TimeSeries = {
    legend: { showLegend: true, displayMode: LegendDisplayMode.Table, placement: 'bottom', calcs: ['lastNotNull', 'max'], sortBy: 'Last *', sortDesc: true },
    tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
  };
  const custom: GraphFieldConfig = {
    drawStyle: GraphDrawStyle.Line,
    lineInterpolation: about.stepped ? LineInterpolation.StepAfter : LineInterpolation.Linear,
    lineWidth: 2,
    fillOpacity: about.stacked ? 30 : 6,
    showPoints: about.dots ? VisibilityMode.Always : VisibilityMode.Never,
    pointSize: 4,
    spanNulls: false,
    stacking: { mode: about.stacked ? StackingMode.Normal : StackingMode.None, group: 'A' },
  };
  return loose('timeseries', about, options, custom, { min: 0, color: { mode: FieldColorModeId.PaletteClassicByName } });
}

/** How values of a histogram spread over time. */
export function spread(about: About): Loose {
  const options: Heatmap = {
    calculate: false,
    cellGap: 1,
    color: { mode: HeatmapColorMode.Scheme, scheme: 'Purples', steps: 64, exponent: 0.5, fill: 'purple', reverse: false, scale: HeatmapColorScale.Exponential },
    exemplars: { color: 'rgba(255,140,0,0.8)' },
    filterValues: { le: 1e-9 },
    legend: { show: true },
    rowsFrame: { layout: HeatmapCellLayout.auto },
    showValue: VisibilityMode.Never,
    tooltip: { mode: TooltipDisplayMode.Single, yHistogram: true, showColorScale: false },
    yAxis: { axisPlacement: AxisPlacement.Left, unit: about.unit, reverse: false },
  };
  return loose('heatmap', { ...about, unit: 'short' }, options, {});
}

/** Names a field, and gives it a colour. */
export function named(field: string, name: string, colour: string): Overrides[number] {
  return {
    matcher: { id: 'byName', options: field },
    properties: [
      { id: 'displayName', value: name },
      { id: 'color', value: { mode: 'fixed', fixedColor: colour } },
    ],
  };
}

/** Leaves fields out. */
export function without(...fields: string[]): DataTransformerConfig {
  return { id: 'organize', options: { excludeByName: Object.fromEntries(fields.map((f) => [f, true])), indexByName: {}, renameByName: {} } };
}

/** Takes the values of fields for numbers, whatever the data source says they are. */
export function numbers(...fields: string[]): DataTransformerConfig {
  return { id: 'convertFieldType', options: { fields: {}, conversions: fields.map((f) => ({ targetField: f, destinationType: 'number' })) } };
}
