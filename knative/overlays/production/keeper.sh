#!/bin/sh
# Makes one Redis Cluster of the members, and holds it together: a member that comes back at another address, or without its
# disk, is brought in again. It may be killed and started at any time; each round looks at what there is.
#
#   MEMBERS        host:port of each, with spaces; the first ones become masters
#   REPLICAS       replicas of each master
#   REDISCLI_AUTH  the password
#   CA             file of the certificate that members are known by
set -u

cli() { # host:port, command…
  at=$1
  shift
  timeout 10 redis-cli --tls --cacert "$CA" -h "${at%:*}" -p "${at##*:}" "$@" 2>/dev/null
}

address() { # host:port as it is now: members know each other by number
  ip=$(getent hosts "${1%:*}" | awk '{print $1; exit}')
  [ -n "$ip" ] && echo "$ip:${1##*:}"
}

field() { cli "$1" cluster info | tr -d '\r' | awk -F: -v key="$2" '$1 == key {print $2}'; }

say() { printf '{"msg":"%s"}\n' "$1"; }

# round looks once. It fails if the cluster is not yet as it should be.
round() {
  anchor='' most=0 there=0 all=0 addresses=''
  for member in $MEMBERS; do
    all=$((all + 1))
    here=$(address "$member") || continue
    slots=$(field "$here" cluster_slots_assigned)
    [ -n "$slots" ] || continue # it does not answer
    there=$((there + 1)) addresses="$addresses $here"
    if [ "$slots" -gt "$most" ]; then # the one that knows the most
      anchor=$here most=$slots
    fi
  done
  if [ -z "$anchor" ]; then
    [ "$there" -eq "$all" ] || return 1 # one that is away may be the one that knows
    say "making the cluster"
    # shellcheck disable=SC2086
    redis-cli --tls --cacert "$CA" --cluster create $addresses --cluster-replicas "$REPLICAS" --cluster-yes >/dev/null
    return 1
  fi
  known=$(cli "$anchor" cluster nodes) || return 1
  whole=0
  for here in $addresses; do
    if ! echo "$known" | grep -F " $here@" | grep -v -e fail -e handshake | grep -q -e ' connected' -e myself; then
      say "bringing in $here"
      cli "$anchor" cluster meet "${here%:*}" "${here##*:}" >/dev/null
      whole=1
    fi
  done
  [ "$whole" -eq 0 ] || return 1
  # All that answer know each other, so a master that has no address is gone with its disk. Was it away for less than the node
  # timeout, nobody calls it failed: its replica is told to take its place.
  for here in $addresses; do
    lost=$(cli "$here" cluster nodes | awk '
      $3 ~ /myself/ {master = $4}
      $3 ~ /noaddr/ {gone[$1]}
      END {if (master in gone) print master}')
    if [ -n "$lost" ]; then
      say "$here takes the place of its master"
      cli "$here" cluster failover force >/dev/null
      return 1
    fi
  done
  for here in $addresses; do # what is gone and has no slots is forgotten
    for id in $(cli "$here" cluster nodes | awk '$3 ~ /noaddr/ && NF == 8 {print $1}'); do
      cli "$here" cluster forget "$id" >/dev/null
    done
  done
  # A master without slots is one that came without its disk. It becomes a replica of the master that has the fewest.
  for here in $addresses; do
    empty=$(cli "$here" cluster nodes | awk '$3 ~ /myself/ && $3 ~ /master/ && NF == 8')
    [ -n "$empty" ] || continue
    master=$(echo "$known" | awk '
      $3 ~ /fail|noaddr|handshake/ {next}
      $3 ~ /slave/ {replicas[$4]++}
      $3 ~ /master/ && NF > 8 {masters[$1]}
      END {for (id in masters) if (best == "" || replicas[id] + 0 < replicas[best] + 0) best = id; print best}')
    say "$here becomes a replica"
    cli "$here" cluster replicate "$master" >/dev/null
    return 1
  done
  for here in $addresses; do # each has to see it itself
    [ "$(field "$here" cluster_state)/$(field "$here" cluster_slots_ok)" = ok/16384 ] || return 1
  done
  [ "$there" -eq "$all" ]
}

trap 'exit 0' TERM INT
was=''
while :; do
  if round; then now=whole; else now='not whole'; fi
  [ "$now" = "$was" ] || say "the cluster is $now"
  was=$now
  sleep "${PAUSE:-5}" &
  wait $!
done
