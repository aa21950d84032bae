// What the panels ask, and whom.
import type { DataQuery, DataSourceRef } from '@grafana/schema';

export const prometheus: DataSourceRef = { type: 'prometheus', uid: 'marimba-prometheus' };
export const redis: DataSourceRef = { type: 'redis-datasource', uid: 'marimba-redis' };

/** A query of Grafana's Prometheus data source. */
export interface PrometheusQuery extends DataQuery {
  datasource: DataSourceRef;
  expr: string;
  legendFormat: string;
  format: 'time_series' | 'heatmap';
  instant: boolean;
  range: boolean;
  exemplar: boolean;
  editorMode: 'code';
}

/** A query of the plugin redis-datasource, as its version 2.2.0 takes it. */
export interface RedisQuery extends DataQuery {
  datasource: DataSourceRef;
  type: 'command';
  command: 'zrange' | 'hgetall' | 'xrange' | 'info';
  keyName?: string;
  min?: string; // of zrange: the first place, from 0
  max?: string;
  zrangeQuery?: 'REV'; // the plugin puts it behind the range as it stands
  section?: 'memory' | 'stats';
}

export type Query = PrometheusQuery | RedisQuery;

/** A query before it has its letter. */
export type Ask = Omit<PrometheusQuery, 'refId'> | Omit<RedisQuery, 'refId'>;

/** Asks for values over the time that the dashboard shows. */
export function over(expr: string, legendFormat: string, more: { exemplar?: boolean; format?: 'heatmap' } = {}): Ask {
  return {
    datasource: prometheus, expr: expr.trim().replace(/\s+/g, ' '), legendFormat,
    format: more.format ?? 'time_series', instant: false, range: true, exemplar: more.exemplar ?? false, editorMode: 'code',
  };
}

/** Asks for the values of this moment. */
export function now(expr: string, legendFormat = ''): Ask {
  return { ...over(expr, legendFormat), instant: true, range: false } as Ask;
}

/** A key of the charts of the contest that was chosen; functions/internal/counts tells what they hold. */
const chart = (name: string): string => 'marimba:{${contest}}:chart:' + name;

/** The bands or albums with the most votes: one row, a field for each, the first ones first. */
export function leading(name: 'bands' | 'albums', most: number): Ask {
  return {
    datasource: redis, type: 'command', command: 'zrange', keyName: chart(name),
    min: '0', max: String(most - 1), zrangeQuery: 'REV',
  };
}

/** The votes by what became of them: one row, a field for each state. */
export function states(): Ask {
  return { datasource: redis, type: 'command', command: 'hgetall', keyName: chart('states') };
}

/** The votes of the leading bands over time: a row for each point, a field for each band. */
export function standings(): Ask {
  return { datasource: redis, type: 'command', command: 'xrange', keyName: chart('standings') };
}

/** What Redis tells of itself: one row, a field for each figure. */
export function info(section: 'memory' | 'stats'): Ask {
  return { datasource: redis, type: 'command', command: 'info', section };
}
