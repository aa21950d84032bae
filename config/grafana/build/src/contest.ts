// One contest: for who runs it.
import { VariableHide, VariableRefresh, VariableSort } from '@grafana/schema';
import type { VariableModel } from '@grafana/schema';
import { dashboard } from './dashboard';
import { bars, figure, lines, named, numbers, shares, without } from './panel';
import { leading, over, redis, standings, states } from './query';

const of = 'contest="$contest"';

const chosen: VariableModel = {
  name: 'contest',
  label: 'Concurso',
  description: 'Contests that have at least one counted vote.',
  type: 'query',
  datasource: redis,
  query: 'SMEMBERS marimba:charts',
  refresh: VariableRefresh.onTimeRangeChanged,
  sort: VariableSort.alphabeticalAsc,
  hide: VariableHide.dontHide,
  multi: false,
  includeAll: false,
  options: [],
};

const ends = [
  named('counted', 'Contados', 'green'),
  named('duplicate', 'Duplicados', 'blue'),
  named('over_limit', 'Sobre el límite', 'yellow'),
  named('refused', 'Rechazados', 'orange'),
  named('replaced', 'Reemplazados', 'purple'),
];

// Redis keeps numbers as text.
const counted = numbers('counted', 'duplicate', 'over_limit', 'refused', 'replaced');

export const contest = dashboard(
  {
    uid: 'marimba-contest',
    title: 'Marimba · Concurso',
    description: 'How one contest stands. The counts are Redis\'s own, some two seconds old; the speeds are Prometheus\'s.',
    refresh: '5s',
  },
  [chosen],
  [
    {
      title: '', height: 4, panels: [
        figure({
          title: 'Votos en el tablero', width: 4, unit: 'locale', none: '0',
          description: 'Counted votes, less those that a later vote of the same voter replaced.',
          ask: [states()],
          transform: [counted, {
            id: 'calculateField',
            options: {
              mode: 'binary', alias: 'Votos', replaceFields: true,
              binary: {
                left: { matcher: { id: 'byName', options: 'counted' } }, operator: '-',
                right: { matcher: { id: 'byName', options: 'replaced' } },
              },
            },
          }],
        }),
        figure({
          title: 'Va a la cabeza', width: 5, unit: 'locale', names: true, none: 'nadie todavía',
          description: 'The band with the most votes. Where a contest ranks by points or by mean, the board may have another one first.',
          ask: [leading('bands', 1)],
        }),
        figure({
          title: 'Contados por segundo', width: 4, unit: 'short', decimals: 1, spark: true, none: '0',
          description: 'Votes that were counted, a second.',
          ask: [over(`sum(rate(marimba_votes_final_total{${of}, state="counted"}[$__rate_interval]))`, 'votos/s')],
        }),
        figure({
          title: 'Cómo terminaron los votos', width: 11, unit: 'locale', none: '0', fields: ends,
          description: 'Every vote that a door took ends in exactly one of these states. Replaced ones are among the counted. Dead votes are in the dashboard Pipeline.',
          ask: [states()],
          transform: [counted],
        }),
      ],
    },
    {
      title: 'El tablero', height: 14, panels: [
        bars({
          title: 'Votos por banda', width: 12, unit: 'locale',
          description: 'Counted votes of the 20 leading bands.',
          ask: [leading('bands', 20)],
        }),
        shares({
          title: 'Reparto por disco', width: 12, unit: 'locale',
          description: 'Counted votes by album: the share of each of the 100 leading albums among these. Albums of the same title by two bands are two.',
          ask: [leading('albums', 100)],
        }),
      ],
    },
    {
      title: 'En el tiempo', height: 10, panels: [
        lines({
          title: 'Clasificación en el tiempo', width: 24, unit: 'locale', stepped: true,
          description: 'Counted votes of the 20 leading bands, a point in ten seconds in which something changed, for the last 4,320 of these. '
            + 'A band that was not among the leading ones at a time is shown as 0 there. A rebuilding of Redis begins it anew.',
          ask: [standings()],
          transform: [without('$streamId')],
          fields: [{ matcher: { id: 'byName', options: '$time' }, properties: [{ id: 'unit', value: 'dateTimeAsLocal' }] }],
        }),
      ],
    },
    {
      title: '', height: 9, panels: [
        lines({
          title: 'Votos por segundo, por estado', width: 12, unit: 'short', stacked: true, fields: ends,
          description: 'Votes a second that came to their end, by the state that they came to.',
          ask: [over(`sum by (state) (rate(marimba_votes_final_total{${of}}[$__rate_interval]))`, '{{state}}')],
        }),
        lines({
          title: 'Votos por segundo, por canal', width: 12, unit: 'short', stacked: true,
          description: 'The same votes by the way they came: http, wasm (a contest\'s own rules), grpc, event.',
          ask: [over(`sum by (channel) (rate(marimba_votes_final_total{${of}}[$__rate_interval]))`, '{{channel}}')],
        }),
        lines({
          title: 'Rechazos por motivo', width: 12, unit: 'short', stacked: true,
          description: 'Ballots a second that were refused: at the door, which tells the voter at once, and later, as when the contest had closed meanwhile.',
          ask: [
            over(`sum by (code) (rate(marimba_votes_refused_total{${of}}[$__rate_interval]))`, '{{code}} · puerta'),
            over(`sum by (reason) (rate(marimba_votes_final_total{${of}, state="refused"}[$__rate_interval]))`, '{{reason}} · después'),
          ],
        }),
        lines({
          title: 'De emitido a contado', width: 12, unit: 's', dots: true,
          limits: [[1, 'yellow'], [2, 'red']],
          description: 'From the vote\'s receipt at the door until it is counted and logged: half of the votes, and 99 of 100, are quicker than this. Points lead to traces.',
          ask: [
            over(`histogram_quantile(0.5, sum by (le) (rate(marimba_cast_to_counted_seconds_bucket{${of}}[$__rate_interval])))`, 'p50'),
            over(`histogram_quantile(0.99, sum by (le) (rate(marimba_cast_to_counted_seconds_bucket{${of}}[$__rate_interval])))`, 'p99', { exemplar: true }),
          ],
        }),
      ],
    },
  ],
);
