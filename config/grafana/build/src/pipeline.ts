// The way of the votes: for who runs the machines.
import { dashboard } from './dashboard';
import { figure, lines, named, spread } from './panel';
import { info, now, over } from './query';

const rate = (metric: string): string => `rate(${metric}[$__rate_interval])`;
const quantile = (q: number, metric: string, by: string, of = ''): string =>
  `histogram_quantile(${q}, sum by (${by ? by + ', ' : ''}le) (${rate(`${metric}_bucket${of}`)}))`;

/**
 * What a counter gained in a time, also in processes that started within it: they begin with what they did before they
 * were first asked, of which increase() sees nothing.
 */
const gained = (metric: string, time: string): string =>
  `((max_over_time(${metric}[${time}]) unless ${metric} offset ${time}) or increase(${metric}[${time}]))`;

const doors = '{function=~"ingress-.+"}';
const functions = '{function!=""}';
const groups = '{consumergroup=~"marimba-.+"}';
const late: Array<[number, string]> = [[1, 'yellow'], [2, 'red']];
const bad: Array<[number, string]> = [[0.000001, 'red']];

const states = [
  named('counted', 'contados', 'green'), named('duplicate', 'duplicados', 'blue'),
  named('over_limit', 'sobre el límite', 'yellow'), named('refused', 'rechazados', 'orange'),
];

export const pipeline = dashboard(
  {
    uid: 'marimba-pipeline',
    title: 'Marimba · Pipeline',
    description: 'Is it fast, and what broke: the votes\' way through doors, Kafka, functions and stores. What an alert asks for is in config/prometheus/RUNBOOK.md.',
    refresh: '10s',
  },
  [],
  [
    {
      title: '', height: 4, panels: [
        figure({
          title: 'Aceptados por segundo', width: 3, unit: 'short', decimals: 1, spark: true, none: '0',
          description: 'Votes a second that Kafka confirmed to the doors.',
          ask: [over(`sum(${rate('marimba_votes_accepted_total')})`, 'votos/s')],
        }),
        figure({
          title: 'Contados por segundo', width: 3, unit: 'short', decimals: 1, spark: true, none: '0',
          description: 'Votes a second that were counted and logged.',
          ask: [over(`sum(${rate('marimba_votes_final_total{state="counted"}')})`, 'votos/s')],
        }),
        figure({
          title: 'En espera', width: 3, unit: 'locale', spark: true, limits: [[500, 'yellow'], [5000, 'red']],
          description: 'Events in Kafka that their function has not finished. An event carries up to 500 votes.',
          ask: [over(`sum(clamp_min(kafka_consumergroup_lag${groups}, 0))`, 'eventos')],
        }),
        figure({
          title: 'De emitido a contado, p99', width: 3, unit: 's', decimals: 2, spark: true, limits: late, none: '–',
          description: '99 of 100 votes are counted within this time of their receipt.',
          ask: [over(quantile(0.99, 'marimba_cast_to_counted_seconds', ''), 'p99')],
        }),
        figure({
          title: 'Puertas no disponibles', width: 3, unit: 'percentunit', decimals: 2, limits: [[0.001, 'yellow'], [0.01, 'red']], none: '0 %',
          description: 'The part of the doors\' answers that said "come again later" (503, UNAVAILABLE).',
          ask: [over(`sum(${rate('marimba_unavailable_total{cause!="gone"}')}) / sum(${rate(`marimba_request_duration_seconds_count${doors}`)})`, 'no disponibles')],
        }),
        figure({
          title: 'Cartas muertas', width: 3, unit: 'locale', decimals: 0, limits: bad, none: '0',
          description: 'Events that were given up in the time shown. `marimba replay` lists them with their cause.',
          ask: [now(`sum(${gained('marimba_dead_letters_total', '$__range')})`, 'cartas')],
        }),
        figure({
          title: 'Procesos', width: 3, unit: 'locale', spark: true, none: '0',
          description: 'Processes of all functions now. While nobody votes there are none.',
          ask: [over('sum(marimba_starts_total)', 'procesos')],
        }),
        figure({
          title: 'CPU por voto', width: 3, unit: 's', decimals: 1, spark: true, none: '–',
          description: 'CPU time of all functions for one vote that came to its end, without Kafka, Redis, MongoDB and Knative.',
          ask: [over(`sum(${rate(`process_cpu_seconds_total${functions}`)}) / sum(${rate('marimba_votes_final_total')})`, 'por voto')],
        }),
      ],
    },
    {
      title: '', height: 4, panels: [
        figure({
          title: 'Alertas', width: 24, unit: 'locale', names: true, limits: bad, none: 'ninguna',
          description: 'Alerts that call now, and for how many things each. What to do is in config/prometheus/RUNBOOK.md, a section for each.',
          ask: [now('count by (alertname) (ALERTS{alertstate="firing", alertname=~"Marimba.+"})', '{{alertname}}')],
        }),
      ],
    },
    {
      title: 'Las puertas', height: 8, panels: [
        lines({
          title: 'Aceptados', width: 8, unit: 'short', stacked: true,
          description: 'Votes a second that Kafka confirmed, by door and channel.',
          ask: [over(`sum by (function, channel) (${rate('marimba_votes_accepted_total')})`, '{{function}} · {{channel}}')],
        }),
        lines({
          title: 'Rechazos en la puerta', width: 8, unit: 'short', stacked: true, none: '0',
          description: 'Ballots a second that were refused at the door, by code. They were never cast.',
          ask: [over(`sum by (code) (${rate('marimba_votes_refused_total')})`, '{{code}}')],
        }),
        lines({
          title: 'No disponible', width: 8, unit: 'short', stacked: true, none: '0',
          description: 'Answers a second that said "come again later", by cause; gone: the client went away.',
          ask: [over(`sum by (function, cause) (${rate('marimba_unavailable_total')})`, '{{function}} · {{cause}}')],
        }),
        lines({
          title: 'Tiempo de respuesta', width: 8, unit: 's',
          description: 'From a request until its answer, which waits for Kafka\'s confirmation. A gRPC stream is one request.',
          ask: [
            over(quantile(0.5, 'marimba_request_duration_seconds', 'function', doors), '{{function}} p50'),
            over(quantile(0.99, 'marimba_request_duration_seconds', 'function', doors), '{{function}} p99', { exemplar: true }),
          ],
        }),
        lines({
          title: 'Peticiones', width: 8, unit: 'reqps', stacked: true,
          description: 'Requests a second by answer.',
          ask: [over(`sum by (function, code) (${rate(`marimba_request_duration_seconds_count${doors}`)})`, '{{function}} {{code}}')],
        }),
        lines({
          title: 'Peticiones en curso', width: 8, unit: 'locale',
          description: 'Requests and events at work now, by function. What exceeds a function\'s room is answered "busy".',
          ask: [over('sum by (function) (marimba_requests_in_flight)', '{{function}}')],
        }),
      ],
    },
    {
      title: 'El camino', height: 8, panels: [
        lines({
          title: 'Votos terminados', width: 8, unit: 'short', stacked: true, fields: states,
          description: 'Votes a second that came to their final state.',
          ask: [over(`sum by (state) (${rate('marimba_votes_final_total')})`, '{{state}}')],
        }),
        lines({
          title: 'En espera, por función', width: 8, unit: 'locale',
          description: 'Events that each function has not finished, by its consumer group.',
          ask: [over(`sum by (consumergroup) (clamp_min(kafka_consumergroup_lag${groups}, 0))`, '{{consumergroup}}')],
        }),
        lines({
          title: 'Rechazos después de la puerta', width: 8, unit: 'short', stacked: true, none: '0',
          description: 'Votes a second that screen refused, by reason. They are in the log as refused.',
          ask: [over(`sum by (reason) (${rate('marimba_votes_final_total{state="refused"}')})`, '{{reason}}')],
        }),
        lines({
          title: 'De emitido a contado', width: 12, unit: 's', dots: true, limits: late,
          description: 'From the receipt at the door until counted and logged. Points are single votes, and lead to their traces.',
          ask: [
            over(quantile(0.5, 'marimba_cast_to_counted_seconds', ''), 'p50'),
            over(quantile(0.99, 'marimba_cast_to_counted_seconds', ''), 'p99', { exemplar: true }),
          ],
        }),
        spread({
          title: 'De emitido a contado, reparto', width: 12, unit: 's',
          description: 'How many votes took how long.',
          ask: [over(`sum by (le) (increase(marimba_cast_to_counted_seconds_bucket[$__rate_interval]))`, '{{le}}', { format: 'heatmap' })],
        }),
        lines({
          title: 'Cajas', width: 8, unit: 'short', stacked: true,
          description: 'Boxes a second by what became of them: pass, poison (goes to the dead letters), error (comes again).',
          ask: [over(`sum by (function, outcome) (${rate('marimba_boxes_total')})`, '{{function}} · {{outcome}}')],
        }),
        lines({
          title: 'Votos por caja', width: 8, unit: 'short', decimals: 1,
          description: 'How full boxes are. Knative\'s cost is for each box, so full ones are cheap. At most 500.',
          ask: [
            over(`sum by (function) (${rate('marimba_box_votes_sum')}) / sum by (function) (${rate('marimba_box_votes_count')})`, '{{function}} · media'),
            over(quantile(0.99, 'marimba_box_votes', 'function'), '{{function}} · p99'),
          ],
        }),
        lines({
          title: 'Reintentos', width: 8, unit: 'short', none: '0',
          description: 'Boxes a second that failed in a function, and that their source sends again.',
          ask: [over(`sum by (function) (${rate('marimba_boxes_total{outcome="error"}')})`, '{{function}}')],
        }),
        lines({
          title: 'Cartas muertas', width: 12, unit: 'locale', decimals: 0, none: '0', stepped: true,
          description: 'Events that were given up within a quarter of an hour, by cause.',
          ask: [over(`sum by (reason) (${gained('marimba_dead_letters_total', '15m')})`, '{{reason}}')],
        }),
        lines({
          title: 'Votos muertos', width: 12, unit: 'locale', decimals: 0, none: '0', stepped: true,
          description: 'The votes in them. They are kept, and counted once the letter was sent again.',
          ask: [over(`sum by (reason) (${gained('marimba_dead_votes_total', '15m')})`, '{{reason}}')],
        }),
      ],
    },
    {
      title: 'Los almacenes', height: 8, panels: [
        lines({
          title: 'Kafka: escribir', width: 8, unit: 's',
          description: 'From produce to the delivery report of all in-sync replicas.',
          ask: [
            over(quantile(0.5, 'marimba_kafka_produce_duration_seconds', 'topic'), '{{topic}} p50'),
            over(quantile(0.99, 'marimba_kafka_produce_duration_seconds', 'topic'), '{{topic}} p99'),
          ],
        }),
        lines({
          title: 'Redis', width: 8, unit: 's',
          description: '99 of 100 calls are quicker, by operation. One script counts a box.',
          ask: [over(quantile(0.99, 'marimba_redis_duration_seconds', 'operation'), '{{operation}} p99')],
        }),
        lines({
          title: 'MongoDB', width: 8, unit: 's',
          description: '99 of 100 calls are quicker, by operation. One insert logs a box.',
          ask: [over(quantile(0.99, 'marimba_mongodb_duration_seconds', 'operation'), '{{operation}} p99')],
        }),
        lines({
          title: 'Fallas', width: 8, unit: 'short', none: '0',
          description: 'Calls a second that failed.',
          ask: [
            over(`sum by (function) (${rate('marimba_kafka_produce_duration_seconds_count{outcome="error"}')})`, 'Kafka · {{function}}'),
            over(`sum by (function) (${rate('marimba_redis_duration_seconds_count{outcome="error"}')})`, 'Redis · {{function}}'),
            over(`sum by (function) (${rate('marimba_mongodb_duration_seconds_count{outcome="error"}')})`, 'MongoDB · {{function}}'),
          ],
        }),
        figure({
          title: 'Redis: memoria', width: 8, unit: 'bytes', only: '/^(used_memory|used_memory_peak|maxmemory)$/',
          description: 'At maxmemory Redis refuses to write, and votes wait in Kafka; it forgets nothing. A contest is there twice while it is rebuilt. 0 is without a limit.',
          ask: [info('memory')],
          fields: [named('used_memory', 'en uso', 'green'), named('used_memory_peak', 'lo más', 'yellow'), named('maxmemory', 'límite', 'text')],
        }),
        figure({
          title: 'Redis: trabajo', width: 8, unit: 'locale', only: '/^(instantaneous_ops_per_sec|rejected_connections|evicted_keys)$/',
          description: 'Commands a second; connections that were refused; keys that were evicted, of which there must never be one.',
          ask: [info('stats')],
          fields: [
            named('instantaneous_ops_per_sec', 'órdenes/s', 'green'), named('rejected_connections', 'rechazadas', 'orange'),
            named('evicted_keys', 'desalojadas', 'red'),
          ],
        }),
      ],
    },
    {
      title: 'Los procesos', height: 8, panels: [
        lines({
          title: 'Procesos por función', width: 8, unit: 'locale', stacked: true, stepped: true,
          description: 'Processes, which are pods on a cluster.',
          ask: [over('sum by (function) (marimba_starts_total)', '{{function}}')],
        }),
        lines({
          title: 'Arranques en frío', width: 8, unit: 'locale', stepped: true, none: '0',
          description: 'Processes that started within the last minute and still run.',
          ask: [over(`count by (function) (time() - process_start_time_seconds${functions} < 60)`, '{{function}}')],
        }),
        lines({
          title: 'Lo que tarda un arranque', width: 8, unit: 's', limits: [[0.5, 'yellow'], [1, 'red']],
          description: 'From exec until the process listens: the slowest of those that run. On a cluster the pod\'s own start comes before it.',
          ask: [over('max by (function) (marimba_start_duration_seconds)', '{{function}}')],
        }),
        lines({
          title: 'CPU por función', width: 8, unit: 'short', decimals: 2, stacked: true,
          description: 'Cores in use.',
          ask: [over(`sum by (function) (${rate(`process_cpu_seconds_total${functions}`)})`, '{{function}}')],
        }),
        lines({
          title: 'CPU por voto', width: 8, unit: 's', decimals: 1,
          description: 'CPU time of all functions for one vote that came to its end.',
          ask: [over(`sum(${rate(`process_cpu_seconds_total${functions}`)}) / sum(${rate('marimba_votes_final_total')})`, 'por voto')],
        }),
        lines({
          title: 'Memoria por función', width: 8, unit: 'bytes', stacked: true,
          description: 'Resident memory of all its processes.',
          ask: [over(`sum by (function) (process_resident_memory_bytes${functions})`, '{{function}}')],
        }),
      ],
    },
    {
      title: 'Una sola máquina (marimba up)', height: 8, panels: [
        lines({
          title: 'Instancias', width: 6, unit: 'locale', stacked: true, stepped: true,
          description: 'Processes of each function by what they are doing. These panels have values where `marimba up` runs the functions; on a cluster Knative does.',
          ask: [over('sum by (function, state) (marimba_house_instances)', '{{function}} · {{state}}')],
        }),
        lines({
          title: 'Espera en la entrada', width: 6, unit: 's',
          description: 'How long requests waited that found no process with room: 99 of 100 less than this, since `marimba up` began.',
          ask: [over('histogram_quantile(0.99, sum by (function, le) (marimba_house_wait_seconds_bucket))', '{{function}} p99')],
        }),
        lines({
          title: 'Entregas', width: 6, unit: 'short',
          description: 'Events a second that functions took from their source, that were sent again, and that were given up.',
          ask: [
            over(`sum by (function) (${rate('marimba_house_deliveries_total')})`, '{{function}} · entregadas'),
            over(`sum by (function) (${rate('marimba_house_retries_total')})`, '{{function}} · repetidas'),
            over(`sum by (function) (${rate('marimba_house_dead_letters_total')})`, '{{function}} · muertas'),
          ],
        }),
        lines({
          title: 'Caídas', width: 6, unit: 'locale', none: '0', decimals: 0,
          description: 'Processes that failed within ten minutes.',
          ask: [over('sum by (function) (increase(marimba_house_crashes_total[10m]))', '{{function}}')],
        }),
      ],
    },
  ],
);
