# From figures {server, figure, value}, several of a kind, to the medians, the bounds, the ratios and the goals.
def median: sort | .[(length - 1) / 2 | floor];
def ratio($a; $b): if $a == null or $b == null or $b <= 0 then null else ($a / $b * 1000 | round / 1000) end;
def most($goal; $wanted; $reached):
  {goal: $goal, wanted: "<= \($wanted)", reached: $reached, met: ($reached != null and $reached <= $wanted)};
def least($goal; $wanted; $reached):
  {goal: $goal, wanted: ">= \($wanted)", reached: $reached, met: ($reached != null and $reached >= $wanted)};

(group_by(.server) | map({key: .[0].server, value: (group_by(.figure)
  | map({key: .[0].figure, value: (map(.value) | median)}) | from_entries)}) | from_entries) as $all
| ($all | del(.bounds)) as $servers
| ($all.bounds // {}) as $b
| ($servers.mimamori // {}) as $ours
| ($servers["boringtun-cli"] // {}) as $boringtun
| ($servers.gotatun // {}) as $gotatun
# The least that a direction costs: the seal, a train, and one of the pipe's two crossings.
| (if $b.pipe_with_offload1_cpu_s_per_gbit == null then null else {
    up1: ($b.open_cpu_s_per_gbit + $b.receive_cpu_s_per_gbit + $b.pipe_with_offload1_cpu_s_per_gbit / 2),
    up4: ($b.open_cpu_s_per_gbit + $b.receive_cpu_s_per_gbit + $b.pipe_with_offload4_cpu_s_per_gbit / 2),
    down1: ($b.seal_cpu_s_per_gbit + $b.send_cpu_s_per_gbit + $b.pipe_with_offload1_cpu_s_per_gbit / 2),
    down4: ($b.seal_cpu_s_per_gbit + $b.send_cpu_s_per_gbit + $b.pipe_with_offload4_cpu_s_per_gbit / 2)} end) as $wall
| ["up1", "up4", "down1", "down4"] as $ways
| {
    machine: {kernel: $kernel, cpu: $cpu, cores: $cores, load: $load, rounds: $rounds},
    bounds: ($b + (($wall // {}) | with_entries(.key |= "wall_\(.)_cpu_s_per_gbit"))),
    servers: $servers,
    ratios_to_ours: ($servers | del(.mimamori) | map_values(with_entries(
      select($ours[.key] != null and .value > 0) | .value = ratio($ours[.key]; .value)))),
    goals: (
      [$ways[] | . as $way | "\(.)_cpu_s_per_gbit" as $f
        | most("TCP \($way): to the wall"; 1.25; ratio($ours[$f]; ($wall // {})[$way])),
          most("TCP \($way): to boringtun-cli"; 0.16; ratio($ours[$f]; $boringtun[$f])),
          most("TCP \($way): to gotatun"; 0.25; ratio($ours[$f]; $gotatun[$f]))]
      + [$ways[] | . as $way | "plain_\(.)_cpu_s_per_gbit" as $f
        | ($servers | del(.mimamori) | map(.[$f] // empty) | min) as $best
        | most("TCP \($way), no offload: to the best peer"; 1; ratio($ours[$f]; $best))]
      + [most("UDP 64 B up: to boringtun-cli"; 0.6; ratio($ours.udp64_up_cpu_us; $boringtun.udp64_up_cpu_us)),
         most("UDP 64 B down: to boringtun-cli"; 0.6; ratio($ours.udp64_down_cpu_us; $boringtun.udp64_down_cpu_us)),
         most("CPU per handshake: to boringtun-cli"; 0.6; ratio($ours.handshake_cpu_us_each; $boringtun.handshake_cpu_us_each)),
         least("storm: share up"; 1; ratio($ours.storm_up; $ours.storm_devices)),
         most("storm: all up, s"; 2; $ours.storm_t100_s),
         most("calm: ping p99 in the storm, ms"; 10; $ours.calm_ping_p99_ms),
         most("calm: pings lost"; 0; $ours.calm_ping_lost),
         most("flood: 99 % up, s"; 6; $ours.flood_t99_s),
         most("flood: all up, s"; 12; $ours.flood_t100_s),
         most("nat: all 500 up, s"; 1.1; $ours.nat_t100_s),
         most("RSS configured, MB"; 130; $ours.many_rss_configured_mb),
         most("RSS active, MB"; 150; $ours.many_rss_active_mb),
         most("idle, CPU ms per s"; 1; $ours.many_idle_cpu_ms_per_s),
         most("seats loaded, ms"; 300; $ours.seats_load_ms),
         most("one change, median ms"; 1; ([$ours.seats_seat_median_ms, $ours.seats_unseat_median_ms, $ours.seats_psk_median_ms]
           | if any(. == null) then null else max end)),
         most("status of all, ms"; 20; $ours.seats_status_median_ms),
         most("planned restart with all connected: state over, ms"; 50;
           (if $ours.seats_handover_left_ms == null then null else $ours.seats_handover_left_ms + $ours.seats_handover_taken_ms end))])
  }
