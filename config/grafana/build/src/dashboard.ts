// How panels stand in a dashboard.
import { DashboardCursorSync } from '@grafana/schema';
import type { Dashboard, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type { Loose } from './panel';

/** Panels of one height, side by side below a title. */
export interface Row {
  title: string;
  height: number;
  panels: Loose[];
}

const columns = 24;

/** Puts the rows below one another, and the panels of each side by side in as many lines as they need. */
function placed(rows: Row[]): Array<Panel | RowPanel> {
  const out: Array<Panel | RowPanel> = [];
  let y = 0;
  let id = 1;
  for (const row of rows) {
    if (row.title) {
      out.push({ type: 'row', id: id++, title: row.title, collapsed: false, gridPos: { x: 0, y: y++, w: columns, h: 1 }, panels: [] });
    }
    let x = 0;
    for (const { width, ...panel } of row.panels) {
      if (x + width > columns) {
        [x, y] = [0, y + row.height];
      }
      out.push({ ...panel, id: id++, gridPos: { x, y, w: width, h: row.height } });
      x += width;
    }
    if (x !== columns) {
      throw new Error(`${row.title}: its last line is ${x} wide, not ${columns}`);
    }
    y += row.height;
  }
  return out;
}

export function dashboard(about: { uid: string; title: string; description: string; refresh: string }, variables: VariableModel[], rows: Row[]): Dashboard {
  return {
    uid: about.uid,
    title: about.title,
    description: about.description,
    tags: ['marimba'],
    schemaVersion: 42,
    version: 1,
    editable: false,
    graphTooltip: DashboardCursorSync.Crosshair,
    timezone: 'browser',
    refresh: about.refresh,
    time: { from: 'now-30m', to: 'now' },
    timepicker: { refresh_intervals: ['5s', '10s', '30s', '1m', '5m'] },
    fiscalYearStartMonth: 0,
    links: [
      {
        type: 'dashboards', title: 'Marimba', tags: ['marimba'], icon: '', tooltip: '', url: '',
        asDropdown: false, includeVars: false, keepTime: true, targetBlank: false,
      },
    ],
    templating: { list: variables },
    annotations: { list: [] },
    panels: placed(rows),
  };
}
