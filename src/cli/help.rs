//! What stands below the options in the help of each command: examples, exit codes, and the names in its JSON.

use crate::exit::Exit;

/// What to begin with.
pub(super) const EXAMPLES: &str =
    "  api-health demo                               watch a small API go down and come back, offline
  api-health run https://example.com/health     watch an API now, with the defaults
  api-health apis add --url https://example.com/health --name Example
  api-health run                                watch everything that is configured
  api-health probe https://example.com          one probe: phases, verdict, reasons
  api-health status                             what is up and what is down
  api-health explain shop                       why it is down, what was told, what comes next
  api-health alerts test                        see that alerts arrive";

pub(super) const ADD_EXAMPLES: &str = "\
Examples:
  api-health apis add --url https://example.com/health --name Shop --set interval_seconds=30
  api-health apis add --url example.com --set schedule='*/5 8-18 * * MON-FRI' --set timezone=Europe/Berlin
  api-health apis add --url https://example.com/me --set 'headers.Authorization=Bearer ${env:SHOP_TOKEN}'";

pub(super) const PROBE_HELP: &str = "\
Exit codes: 0 pass, 1 fail, 2 could not tell, 64 neither an id nor a URL that may be probed.

With --json, every name is stable:
  api_id, name (null for a URL), method, url, address, started_at, took_ms,
  phases { resolve_ms, connect_ms, tls_ms, first_byte_ms, body_ms }, status_code, body_bytes,
  body_cut_at_bound, records[], redirects, location, verdict (pass, fail, inconclusive), reasons[]
What did not happen is null.

Examples:
  api-health probe https://example.com/health
  api-health probe shop --json";

pub(super) const LIST_HELP: &str = "\
With --json: apis[] with api_id, name, url, method, schedule, enabled, told_within_seconds, tags[],
source, shadowed; refused[] with api_id, source, issues[]; unreadable[] with source, why.

Example:
  api-health apis list --json | jq -r '.apis[].url'";

pub(super) const IMPORT_HELP: &str = "\
The plan comes first: + a row that is added, ~ one that changes, field by field, - one that is removed.
Then it asks for a yes. The same import again has nothing to do. A row that somebody changed since
the plan was made is left alone. An import that failed midway goes on when it is run again.

With --from, what became of each field is told before the plan: + a row, ~ a field that is nearly the
same here, x one that is lost, each with its line and why. Secrets become references, and what has to
be set is listed. Channels are printed, or written to --channels FILE.

With --json, every name is stable:
  summary { fields, taken, near, lost }, fields[] with file, line, path, count, api_id, verdict (taken,
  near, lost), why; rows[], secrets[] with name, place (null: the file refers to it); channels (TOML).

Exit codes: 0 done, or nothing to do; 64 a row is bad, or nobody can be asked and --yes is missing;
69 the table is not available; 75 the answer was no, or some rows were left alone.

Examples:
  api-health apis import apis.toml --dry-run
  api-health apis import apis.toml --yes
  api-health apis import apis.toml --prune
  api-health apis import --from gatus config.yaml --channels channels.toml --dry-run
  api-health apis import --from csv monitors.csv --map url=Website,name=Title";

pub(super) const EXPORT_HELP: &str = "\
With --to, what the other program cannot say is listed on standard error, by API and field. References
to secrets stay references; a literal secret is printed as it stands in the table.

Examples:
  (umask 077; api-health apis export > apis.toml)
  api-health apis export --to blackbox > targets.json";

pub(super) const STATUS_HELP: &str = "\
With --json, every name is stable:
  at, environment, store, summary { up, down, unknown, disabled, suspect, unclear, owed_alerts },
  conditions { down, unwatched, suspect, unclear, maintenance, unknown, up, off } (each API counts once; the words of the page),
  store_trouble { since, reason } (null while the store takes writes),
  heartbeat { at, age_seconds, is_overdue, instance, program_version, heartbeat_seconds,
              checkpoint_seconds, apis, up, down, unknown, owed, probes, probes_since, late,
              late_api_ids[], inconclusive, inconclusive_api_ids[] } (null if there is none; heartbeat_seconds is null after run --once;
              of several workers the sums, as of the oldest),
  heartbeats[] (the same for each worker),
  apis[] { api_id, name, url, source, configured, enabled, condition, status (up, down, unknown), since,
           not_probed { since, reason } (where the prober itself keeps dying; the status is unknown then),
           unclear { since, reason } (where nothing can be told of it for long; the status is the last that was known),
           told_status (what people were told last), flapping, maintenance_until (of a window that was opened by hand),
           held { changes, why } (changes that are not told yet),
           certificate { since, reason } (where it is told that its certificate ends soon),
           suspect { toward, count, needed, first_at }, incident { incident_id, started_at, reason },
           last_probe { at, verdict (pass, fail, inconclusive), latency_ms, status_code, error },
           on_time (as of the heartbeat: true, false, or null where it does not say, or where that
           probe could not tell),
           owed_alerts, missed_ticks },
  unreadable[] { api_id, why }, refused[] { api_id, source }
What is not known is null.

Examples:
  api-health status --down
  api-health status --watch
  api-health status --json | jq -r '.apis[] | select(.status == \"down\") | .api_id'";

pub(super) const WEB_TOKEN_HELP: &str = "\
The token is shown this once and kept nowhere. The settings hold its SHA-256, from which nobody gets it back.
It changes nothing by itself: write the line below [web], and restart the daemon.

With --json, every name is stable: token, sha256 (as it stands in web.tokens).

Examples:
  api-health web token
  curl --header \"Authorization: Bearer $TOKEN\" http://monitor.example.org:8462/";

pub(super) const EXPLAIN_HELP: &str = "\
Reads what is stored, like `status`, and asks the daemon on this machine when it started: intervals count from there.

Exit codes: 0 done, 1 there is no such API, 69 the store does not answer.

With --json, every name is stable:
  at, api_id, name, url, source, status (up, down, unknown), since, is_stored, why[],
  incident { incident_id, started_at, reason, evidence { seen_at, addresses[], more_addresses, address,
             phases { resolve_ms, connect_ms, tls_ms, first_byte_ms, body_ms }, status_line,
             certificate { subject, issuer, not_before, not_after }, body_start,
             witnesses_well[], witnesses_ill[] } },
  outcomes[] { verdict (pass, fail, inconclusive), status_code, count, first_at, over_at }
             (alike in a row, the newest first),
  told[] { kind (down, up, closed), happened_at, detected_at,
           waits_for[] { channel, failures, last_error, next_try_at } } (the newest first),
  next_probe { at, within_seconds, is_recheck, why_never }, schedule, told_within_seconds
What is not known is null.

Examples:
  api-health explain shop
  api-health explain shop --json | jq .incident.evidence";

pub(super) const FLEET_HELP: &str = "\
Reads only what the workers have stored; asks none of them. A worker was last seen when its figures
were made, up to a minute before; its own clock says so. An SQLite file is owned whole, by one process.

Exit codes: 0 done, 69 the table does not answer, or holds records that cannot be read.

With --json, every name is stable:
  at, store, owner_pid (of an SQLite file; else null), shards, unowned_shards[], writes_schema,
  workers[] { worker, host, state (live, left, fenced), role (worker, standby), session, version,
              since, last_seen_at, last_seen_seconds, lease_seconds, renew_seconds,
              program_version, reads_schema, channels[], shards[] { shard, epoch }, apis },
  asks[] { id, at, what (retry, withdraw, drop_channel), api_id, alert_ids[], incident_id, channel }
What is not known is null.

Examples:
  api-health fleet
  api-health fleet --json | jq -r '.workers[] | select(.state == \"live\") | .host'";

pub(super) const COST_HELP: &str = "\
Asks AWS only for what is configured there. How it is calculated: docs/cost.md.

With --json, every name is stable:
  apis, apis_are (given, configured, assumed), interval_seconds (null if it differs), probes,
  checkpoint_seconds, heartbeat_seconds, history_flush_seconds (null without), reload_seconds,
  workers, instance (of each worker),
  prices { region, as_of },
  lines[] { item, quantity, unit, usd, confirmed }, dynamodb_usd, total_usd,
  others[] { item, usd, confirmed }
All of it is for a month of 730 hours, in US dollars.

Examples:
  api-health cost --apis 10000 --interval-seconds 30
  api-health cost --workers 2
  api-health cost --json | jq .total_usd";

pub(super) const ALERTS_LIST_HELP: &str = "\
What came of an attempt is stored within checkpoint_seconds (10), or at once where that is more
than a minute (DynamoDB): the figures may be that old. A restart of `run` tries again within a minute, whatever stands here.

With --json, every name is stable:
  owed[] { alert_id, incident_id, api_id, name, url, kind (down, up, closed), happened_at,
           detected_at, owed_seconds, reason, delivered_to[], owed_to[],
           deliveries[] { channel, delivered, failures, last_error, next_try_at } },
  unreadable[] { api_id, why }

Example:
  api-health alerts list --json | jq -r '.owed[] | [.alert_id, .deliveries[].last_error] | @tsv'";

pub(super) const ALERTS_RETRY_HELP: &str = "\
Alerts of one API go out in order through each channel: behind one that is not taken, the next is
not tried. Beside a daemon that does not answer, nothing is tried.

Exit codes: 0 all delivered, or nothing owed; 69 some were not, or the daemon does not answer;
64 an id of which nothing is owed.

With --json, every name is stable:
  results[] { alert_id, api_id, kind, channel, result, delivered, why },
  unreadable[] { api_id, why }
The result is taken_over, failed, or not_tried (an earlier one failed, or no process that runs has
the channel).

Examples:
  api-health alerts retry
  api-health alerts retry shop.1795332600000.3.down";

pub(super) const ALERTS_DROP_HELP: &str = "\
For a channel that is gone for good; its name is that in `alerts list`. What is owed to others stays.

Exit codes: 0 done; 69 the store or the daemon does not answer.

With --json, every name is stable:
  channel, dropped (how many alerts it was owed)

Example:
  api-health alerts drop --channel webhook";

pub(super) const MAINTENANCE_START_HELP: &str = "\
Asks the running daemon and the workers, or does it from here if none runs. A window that is opened again takes the
place of the one before.

Exit codes: 0 done; 64 an API or a tag that is not configured; 69 the store or the daemon does not answer.

With --json, every name is stable:
  apis (how many it is about), api_ids, until

Examples:
  api-health maintenance start --for 30m --tag payments
  api-health maintenance start --for 2h --api shop --api cart --note \"new disks\"";

pub(super) const INCIDENTS_LIST_HELP: &str = "\
With --json, every name is stable:
  month, incidents[] { incident_id, api_id, name, started_at, ended_at (null while it is open), duration_seconds, reason },
  unreadable[] { api_id, why }

Example:
  api-health incidents list --month 2026-11";

pub(super) const INCIDENTS_SHOW_HELP: &str = "\
Exit codes: 0 done; 1 no incident has that id; 69 the store is not available.

With --json, every name is stable:
  incident_id, api_id, name, started_at, ended_at (null while it is open), duration_seconds, reason, confirmed_at,
  told[] { channel, kind, at }, notes[] { incident_id, at, by, kind (or null), text },
  evidence, end_evidence (as in alerts, or null)

Example:
  api-health incidents show shop.1795332600000.3";

pub(super) const INCIDENTS_NOTE_HELP: &str = "\
An incident takes 50 notes. They are kept with it in history, and shown to those alone who may see its page. The name of the
writer is that of the user who is at the terminal; of sudo, of the one who called it.

Exit codes: 0 done; 64 the note is empty or too long; 1 no incident has that id; 69 the store is not available.

With --json, every name is stable:
  incident_id, at, by, kind (or null), text

Examples:
  api-health incidents note shop.1795332600000.3 \"the disk of db-2 is full\" --kind identified
  api-health incidents note shop.1795332600000.3 \"a bigger disk is in\" --kind resolved --by ann";

pub(super) const MAINTENANCE_LIST_HELP: &str = "\
Windows that were opened by hand, and those that a row (maintenance) or the settings ([maintenance]) configure.

With --json, every name is stable:
  open: api_id, until, note, by_hand, status, told_status, held_changes

Example:
  api-health maintenance list";

pub(super) const MAINTENANCE_END_HELP: &str = "\
Exit codes: 0 done; 64 an API or a tag that is not configured; 69 the store or the daemon does not answer.

With --json, every name is stable:
  apis (how many had a window), api_ids, until (null)

Example:
  api-health maintenance end --tag payments";

/// Examples and exit codes.
pub(super) fn after_help() -> String {
    let codes = Exit::TABLE.map(|(exit, meaning)| format!("  {:<3} {meaning}\n", exit.code())).concat();
    format!("Examples:\n{EXAMPLES}\n\nExit codes:\n{}", codes.trim_end())
}
